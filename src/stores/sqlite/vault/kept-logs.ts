// All logs of a store one after the other; one that cannot be read does not keep the others from being.

import type { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../database.ts';
import { readDidRow, readEntryRow } from './read-rows.ts';
import { DID_ROWS, type DidRow } from './rows.ts';

export interface KeptLog {
  readonly id: number;
  readonly did: string;
  readonly row: DidRow;
  /** Of did.jsonl, without their ends. */
  readonly lines: readonly string[];
  readonly witness: string | undefined;
}

export interface UnreadableLog {
  /** Its number where the DID itself cannot be read. */
  readonly did: string;
  readonly problem: string;
}

/** In the order of registration, those registered meanwhile included. */
export function* readKeptLogs(database: DatabaseSync): Generator<KeptLog | UnreadableLog> {
  const dids = database.prepare(`SELECT ${DID_ROWS} WHERE dids.id > ? ORDER BY dids.id LIMIT 1000`);
  const entries = database.prepare('SELECT * FROM entries WHERE did = ? AND version <= ? ORDER BY version');
  for (let after = 0; ; ) {
    const rows = dids.all(after);
    if (rows.length === 0) return;
    for (const stored of rows) {
      after = Number(stored.id);
      const did = String(stored.did);
      try {
        const row = readDidRow(stored);
        const lines = entries.all(row.id, row.version).map((entry) => readEntryRow(entry).line);
        yield { id: row.id, did, row, lines, witness: row.witness ?? undefined };
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        yield { did, problem: 'its row or one of its entries is damaged' };
      }
    }
  }
}
