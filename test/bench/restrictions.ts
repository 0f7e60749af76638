// A million revocations: what they take in memory and on disk, how long they load, and what a request pays for looking.
// node --expose-gc test/bench/restrictions.ts [--count N] [--file FILE that is kept]

import { randomBytes } from 'node:crypto';
import { existsSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { RestrictableChain } from '../../src/restrictions/restrictable-chain.ts';
import { RestrictionSet } from '../../src/restrictions/restriction-set.ts';
import { ALWAYS, ENTRY_WORDS, RevocationTable } from '../../src/restrictions/revocation-table.ts';
import { SqliteRestrictionStore } from '../../src/stores/sqlite/restrictions/restriction-store.ts';
import { jtiOf, writeRestrictions } from './made-restrictions.ts';

const { values } = parseArgs({ options: { count: { type: 'string', default: '1000000' }, file: { type: 'string' } } });
const count = Number(values.count);
const file = values.file ?? join(tmpdir(), `restrictions-${process.pid}.db`);
const OPERATOR = 'did:webvh:QmfGEUAcMpzo25kF2Rhn8L5FAXysfGnkzjwdKoNPi615XQ:vault.example:operators:acme';
const gc = globalThis.gc ?? (() => {});

function memory(): number {
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
const print = (line: string) => process.stdout.write(`${line}\n`);

function chain(number: number, links: number): RestrictableChain {
  const link = (at: number) => ({
    agent: `did:web:agent-${at}`,
    jti: jtiOf(number + at * count),
    jkt: `jkt-${number}-${at}`,
    sid: 's',
    iat: 1,
  });
  return { operator: { did: OPERATOR }, links: Array.from({ length: links }, (_, at) => link(at)) };
}

function nanos(rounds: number, run: (round: number) => void): number {
  for (let round = 0; round < rounds / 10; round++) run(round);
  // Of this thread's own, so that what other programs take does not count.
  const before = process.threadCpuUsage();
  for (let round = 0; round < rounds; round++) run(round);
  const { user, system } = process.threadCpuUsage(before);
  return ((user + system) * 1000) / rounds;
}

if (!existsSync(file)) writeRestrictions(file, { count, operator: OPERATOR });
print(`${count} revocations, ${megabytes(statSync(file).size)} on disk`);
let started = performance.now();
const store = await SqliteRestrictionStore.open(file);
print(`opened and checked   ${(performance.now() - started).toFixed(0)} ms`);
const before = memory();
const set = new RestrictionSet({ administrators: ['did:web:administrator'], read: (sequence) => store.read(sequence) });
started = performance.now();
const cpu = process.threadCpuUsage();
store.keepInForce(set);
const used = process.threadCpuUsage(cpu);
print(
  `loaded into memory   ${(performance.now() - started).toFixed(0)} ms (${((used.user + used.system) / 1000).toFixed(0)} ms of CPU)`,
);
print(`memory               ${megabytes(memory() - before)}, of which ${megabytes(set.revocations.bytes)} the table`);
const plain = memory();
const map = new Map(
  Array.from({ length: count }, (_, number) => [`${OPERATOR}\ntoken\n${jtiOf(number + 1)}`, number + 1] as const),
);
print(`a Map by name        ${megabytes(memory() - plain)} (${map.size})`);
map.clear();

for (const links of [1, 3, 6]) {
  const known = chain(count + 1, links);
  const strangers = Array.from({ length: 2000 }, (_, at) => chain(count + 1 + at, links));
  const again = nanos(200_000, () => set.find(known));
  const first = nanos(2000, (round) => set.find({ ...(strangers[round] as RestrictableChain) }));
  print(`chain of ${links}           ${again.toFixed(0)} ns seen before, ${(first / 1000).toFixed(1)} us for the first time`);
}
const revoked = nanos(2000, (round) => {
  if (!('revoked' in set.find(chain(1 + ((round * 499) % count), 1)))) throw new Error(`not revoked: ${round}`);
});
print(`one that is revoked  ${(revoked / 1000).toFixed(1)} us, its record read`);
let missed = 0;
for (let number = 1; number <= count; number += 97) if (!('revoked' in set.find(chain(number, 1)))) missed++;
for (let number = count + 1; number <= count * 1.1; number++) if ('revoked' in set.find(chain(number, 1))) missed++;
print(`wrong answers        ${missed}`);

// The least of three runs each, so that what other programs take does not count.
const words = new Uint32Array(new Uint8Array(randomBytes(count * 16)).buffer);
const least = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
for (let run = 0; run < 3; run++) {
  gc();
  const table = new RevocationTable();
  for (let number = 0; number < count; number++) {
    const at = performance.now();
    table.add(words, number * ENTRY_WORDS, number + 1, ALWAYS);
    least[number] = Math.min(least[number] ?? 0, performance.now() - at);
  }
}
print(`longest addition     ${(1000 * least.reduce((most, one) => Math.max(most, one), 0)).toFixed(0)} us`);
await store.close();
if (values.file === undefined) for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true });
