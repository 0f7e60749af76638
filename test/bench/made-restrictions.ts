// Many revocations, made quickly: into a file as the store has it, without the signatures. Those are not looked at when a file of one's
// own is loaded, nor in what a vault publishes to gateways that share a secret with it.

import { hash } from 'node:crypto';
import { nextHead } from '../../src/restrictions/feed-head.ts';
import { entryOf } from '../../src/restrictions/restrictable-chain.ts';
import { ALWAYS } from '../../src/restrictions/revocation-table.ts';
import { openRestrictions } from '../../src/stores/sqlite/restrictions/restriction-database.ts';

/** The token that a revocation is of. */
export const jtiOf = (number: number): string => hash('sha256', `jti ${number}`, 'buffer').toString('base64url', 0, 16);

/** @param operator DID of who revokes @param witness the `jti` of a token that is really there, which the first is of */
export function writeRestrictions(file: string, count: number, operator: string, witness = jtiOf(1)): void {
  const database = openRestrictions(file);
  database.exec('PRAGMA synchronous = OFF; BEGIN');
  const insert = database.prepare('INSERT INTO restrictions (id, jws, head) VALUES (?, ?, ?)');
  const revoke = database.prepare('INSERT INTO revocations VALUES (?, ?, ?)');
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const header = part({ alg: 'Ed25519', kid: `${operator}#key-1`, typ: 'agent-restriction+jwt' });
  const signature = Buffer.alloc(64, 1).toString('base64url');
  let head = '';
  for (let number = 1; number <= count; number++) {
    const id = hash('sha256', `id ${number}`, 'buffer').toString('base64url', 0, 16);
    const token = number === 1 ? witness : jtiOf(number);
    const target = { at: 1_767_225_600, by: operator, effect: 'revoke', id, reason: 'measured', target: { token } };
    const compact = `${header}.${part(target)}.${signature}`;
    head = nextHead(head, compact);
    insert.run(id, compact, head);
    revoke.run(number, entryOf(operator, 'token', token), ALWAYS);
  }
  database.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
}
