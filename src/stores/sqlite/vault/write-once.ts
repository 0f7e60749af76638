// What makes a write happen once: the nonce of its signature, and the answer under its idempotency key. Both are kept as long as
// they may be needed, in the transaction of the entry that they came with.

import type { DatabaseSync } from 'node:sqlite';
import { RegistryConflict, type WriteOnce } from '../../../vault/registry.ts';
import { numberOf, setFact } from './facts.ts';
import { readAnswerRow, type Stored } from './read-rows.ts';
import type { AnswerRow } from './rows.ts';
import { sealAnswer } from './seal.ts';
import type { EntryToWrite } from './vault-protocol.ts';

/** How long a repetition gets the same answer. */
export const ANSWER_MILLIS = 24 * 60 * 60 * 1000;

/** A nonce is kept for this long after its end, so that a clock that is set back a little changes nothing. */
const NONCE_MARGIN_MILLIS = 2 * 60 * 1000;

const AT_A_TIME = 1000;

export interface Once {
  /** @throws {RegistryConflict} when the signature was presented before, or cannot be told from one that was */
  takeNonce(author: number, write: WriteOnce): void;
  /** The sequence of the entry that came with the same request before. @throws {RegistryConflict} for another request */
  repeats(author: number, write: WriteOnce, now: number): number | undefined;
  keepAnswer(author: number, seq: number, entry: EntryToWrite, now: number): void;
  /** Drops what cannot be needed any more; a part of it when there is much. */
  forget(now: number): void;
}

export function prepareOnce(database: DatabaseSync): Once {
  const nonce = database.prepare('SELECT 1 FROM nonces WHERE author = ? AND nonce = ?');
  const newNonce = database.prepare('INSERT INTO nonces VALUES (?, ?, ?)');
  const answer = database.prepare('SELECT * FROM answers WHERE author = ? AND key = ?');
  const dropAnswer = database.prepare('DELETE FROM answers WHERE author = ? AND key = ?');
  const newAnswer = database.prepare(
    'INSERT INTO answers VALUES (:seq, :author, :key, :request_hash, :status, :body, :until, :seal)',
  );
  const spent = database.prepare('SELECT max(until) AS latest FROM nonces WHERE until < ?');
  const dropNonces = database.prepare('DELETE FROM nonces WHERE until < ?');
  const dropAnswers = database.prepare(
    `DELETE FROM answers WHERE until < ? AND seq IN (SELECT seq FROM answers ORDER BY seq LIMIT ${AT_A_TIME})`,
  );
  let forgottenThrough = numberOf(database, 'nonces_forgotten_through');

  return {
    takeNonce(author, write) {
      if (write.nonceUntil <= forgottenThrough || nonce.get(author, write.nonce) !== undefined)
        throw new RegistryConflict('nonce-used', 'the signature was presented before');
      newNonce.run(author, write.nonce, write.nonceUntil);
    },
    repeats(author, write, now) {
      if (write.idempotencyKey === undefined) return undefined;
      const row = answer.get(author, write.idempotencyKey);
      return row && checkedAnswer(row, write, now)?.seq;
    },
    keepAnswer(author, seq, { write, answer: { status, body } }, now) {
      const { idempotencyKey: key, requestHash: request_hash } = write;
      if (key === undefined) return;
      dropAnswer.run(author, key);
      const row = { seq, author, key, request_hash, status, body, until: now + ANSWER_MILLIS };
      newAnswer.run({ ...row, seal: sealAnswer(row) });
    },
    forget(now) {
      const before = now - NONCE_MARGIN_MILLIS;
      const latest = Number(spent.get(before)?.latest ?? 0);
      if (latest > 0) {
        dropNonces.run(before);
        setFact(database, 'nonces_forgotten_through', Math.max(latest, forgottenThrough));
      }
      for (let round = 0; round < 20; round++) if (dropAnswers.run(now).changes < AT_A_TIME) break;
      forgottenThrough = Math.max(latest, forgottenThrough);
    },
  };
}

/** @returns `undefined` when it is too old to be an answer @throws {RegistryConflict} when another request got it */
export function checkedAnswer(stored: Stored, write: WriteOnce, now: number): AnswerRow | undefined {
  const row = readAnswerRow(stored);
  if (row.until <= now) return undefined;
  if (row.request_hash === write.requestHash) return row;
  throw new RegistryConflict('idempotency-key-reused', 'another request has this idempotency key');
}
