// Run as a program of its own: registers agents in the store of its first argument and rotates their keys, many at a time, as fast
// as it can, until it is killed or a write fails. A line of JSON before each write, and one when it was acknowledged.

import { randomBytes } from 'node:crypto';
import { SqliteVaultStore } from '../../../../src/stores/sqlite/vault/vault-store.ts';
import { additionOf, once, registrationOf, writeFirst, writeNext } from './written-log.ts';

export type Said =
  | { readonly sent: string; readonly did: string; readonly version: number }
  | { readonly kept: string; readonly did: string; readonly version: number; readonly sequence: number }
  | { readonly failed: string };

const say = (said: Said) => process.stdout.write(`${JSON.stringify(said)}\n`);
const ANSWER = { status: 201, body: '{}' };
const AT_A_TIME = 12;
const VERSIONS = 4;

const store = await SqliteVaultStore.open({ file: process.argv[2] ?? '' });
const run = randomBytes(6).toString('hex');

async function write(lane: number): Promise<void> {
  for (let at = 0; ; at++) {
    let log = writeFirst(`acme:agent-${run}-${lane}-${at}`);
    for (let version = 1; version <= VERSIONS; version++) {
      if (version > 1) log = writeNext(log);
      const { did, versionId } = log.log;
      say({ sent: log.lines.at(-1) ?? '', did, version });
      const kept =
        version === 1 ? store.register(registrationOf(log), once(), ANSWER) : store.append(additionOf(log), once(), ANSWER);
      say({ kept: versionId, did, version, sequence: (await kept).sequence });
    }
  }
}

try {
  await Promise.all(Array.from({ length: AT_A_TIME }, (_, lane) => write(lane)));
} catch (error) {
  say({ failed: String(error) });
  process.exit(3);
}
