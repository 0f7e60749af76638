// Writes one file again and again, each time with another line in it 20,000 times, until it is killed.
import { writeDurably } from '../../src/operator/durable-file.ts';

const [file = ''] = process.argv.slice(2);
for (let number = 0; ; number++) {
  await writeDurably(file, `${number}\n`.repeat(20_000));
  if (number === 0) process.stdout.write('started\n');
}
