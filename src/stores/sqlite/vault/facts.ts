// What the store says of itself: a few named values.

import { randomBytes } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';

export type Fact =
  | 'epoch' // names this history of changes; a copy has one of its own
  | 'in_use' // 1 from opening to closing: without its -wal such a file is not whole
  | 'last_sequence'
  | 'nonces_forgotten_through'; // milliseconds since the epoch

export function numberOf(database: DatabaseSync, name: Fact): number {
  return Number(textOf(database, name));
}

export function textOf(database: DatabaseSync, name: Fact): string {
  return String(database.prepare('SELECT value FROM facts WHERE name = ?').get(name)?.value ?? '');
}

export function setFact(database: DatabaseSync, name: Fact, value: string | number): void {
  database.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)').run(name, value);
}

export function setNewEpoch(database: DatabaseSync): void {
  setFact(database, 'epoch', randomBytes(16).toString('base64url'));
}
