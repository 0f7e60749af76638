// Many revocations, made quickly: into a file as the store has it, without genuine signatures. Those are not looked at when a file of
// one's own is loaded, nor in the snapshot that a vault publishes to gateways which share a secret with it. What is newer than the
// snapshot is verified one by one, so that the newest are signed where someone is there to do it.

import { hash, randomBytes } from 'node:crypto';
import { nextHead } from '../../src/restrictions/feed-head.ts';
import { entryOf } from '../../src/restrictions/restrictable-chain.ts';
import { ALWAYS } from '../../src/restrictions/revocation-table.ts';
import { type RestrictionAuthor, signRestriction } from '../../src/restrictions/sign-restriction.ts';
import { openRestrictions } from '../../src/stores/sqlite/restrictions/restriction-database.ts';

/** The token that a revocation is of. */
export const jtiOf = (number: number): string => hash('sha256', `jti ${number}`, 'buffer').toString('base64url', 0, 16);

export interface MadeRestrictions {
  readonly count: number;
  /** DID of who revokes. */
  readonly operator: string;
  /** Signs the newest. */
  readonly author?: RestrictionAuthor;
  /** `jti` of a token that is really there, which the first is of. */
  readonly witness?: string;
}

/** More than a vault has beyond its snapshot. */
const SIGNED = 8192;
const AT = 1_767_225_600;

export function writeRestrictions(file: string, { count, operator, author, witness = jtiOf(1) }: MadeRestrictions): void {
  const database = openRestrictions(file);
  database.exec('PRAGMA synchronous = OFF; BEGIN');
  const insert = database.prepare('INSERT INTO restrictions (id, jws, head) VALUES (?, ?, ?)');
  const revoke = database.prepare('INSERT INTO revocations VALUES (?, ?, ?)');
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const header = part({ alg: 'Ed25519', kid: author?.keyId ?? `${operator}#key-1`, typ: 'agent-restriction+jwt' });
  let head = '';
  for (let number = 1; number <= count; number++) {
    const id = hash('sha256', `id ${number}`, 'buffer').toString('base64url', 0, 16);
    const token = number === 1 ? witness : jtiOf(number);
    const claims = { at: AT, by: operator, effect: 'revoke', id, reason: 'measured', target: { token } } as const;
    const compact =
      author !== undefined && number > count - SIGNED
        ? signRestriction({ ...claims, target: { kind: 'token', value: token } }, author)
        : `${header}.${part(claims)}.${randomBytes(64).toString('base64url')}`;
    head = nextHead(head, compact);
    insert.run(id, compact, head);
    revoke.run(number, entryOf(operator, 'token', token), ALWAYS);
  }
  database.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
}
