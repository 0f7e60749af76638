// Appends restrictions until it is killed, and says of each, by a line on its standard output, that it was acknowledged.

import { SqliteRestrictionStore } from '../../../../src/stores/sqlite/restrictions/restriction-store.ts';
import { restrictionOf } from './statements.ts';

const [file = '', first = '0'] = process.argv.slice(2);
const store = await SqliteRestrictionStore.open(file);
for (let number = Number(first); ; number += 4) {
  await Promise.all(
    Array.from({ length: 4 }, async (_, at) => {
      const [appended] = await store.append([restrictionOf(number + at)]);
      process.stdout.write(`${appended?.sequence} ${number + at}\n`);
    }),
  );
}
