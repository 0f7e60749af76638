// Holds the lock of a home until it is killed.
import { lockHome } from '../../src/operator/home-lock.ts';

await lockHome(process.argv[2] ?? '');
process.stdout.write('locked\n');
setInterval(() => {}, 1000);
