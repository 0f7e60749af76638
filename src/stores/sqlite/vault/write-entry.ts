// One entry within the writer's transaction: whether anything is against it, and the rows that it makes.

import type { DatabaseSync } from 'node:sqlite';
import { type Change, RegistryConflict } from '../../../vault/registry.ts';
import { readDidRow, readEntryRow, versionIdOf } from './read-rows.ts';
import { DID_ROWS, type DidRow, KINDS } from './rows.ts';
import { damaged, sealDid, sealEntry, sealKey } from './seal.ts';
import type { EntryToWrite } from './vault-protocol.ts';
import type { Once } from './write-once.ts';

export interface Written {
  readonly change: Change;
  /** The same request was accepted before, and this is its change. */
  readonly repeated: boolean;
}

/** @returns throws {@link RegistryConflict}; what it has written until then is for the caller to undo */
export function prepareWriteEntry(database: DatabaseSync, once: Once): (entry: EntryToWrite, now: number) => Written {
  const party = database.prepare('SELECT id FROM parties WHERE did = ?');
  const newParty = database.prepare('INSERT INTO parties (did) VALUES (?)');
  const taken = database.prepare('SELECT 1 FROM dids WHERE did = ? OR path = ?');
  const find = database.prepare(`SELECT ${DID_ROWS} WHERE dids.did = ?`);
  const newDid = database.prepare(
    `INSERT INTO dids VALUES (:id, :kind, :operator, :did, :path, :version, :head, :created, :updated, :deactivated, :seal, :witness)`,
  );
  const newHead = database.prepare(
    'UPDATE dids SET version = ?, head = ?, updated = ?, deactivated = ?, witness = ?, seal = ? WHERE id = ?',
  );
  const newest = database.prepare('SELECT (SELECT max(id) FROM dids) AS id, (SELECT max(seq) FROM entries) AS seq');
  const entryOf = database.prepare('SELECT * FROM entries WHERE seq = ?');
  const newEntry = database.prepare('INSERT INTO entries VALUES (:seq, :did, :version, :seal, :line)');
  const key = database.prepare('SELECT did FROM keys WHERE thumbprint = ?');
  const newKey = database.prepare('INSERT INTO keys VALUES (?, ?, ?)');

  function numberOfParty(did: string): number {
    return Number(party.get(did)?.id ?? newParty.run(did).lastInsertRowid);
  }

  function readVersionId(seq: number): string {
    const row = entryOf.get(seq);
    return row === undefined ? damaged(`entry ${seq} is missing`) : versionIdOf(readEntryRow(row).line);
  }

  function register(entry: EntryToWrite, id: number, head: number): void {
    const { did, registration, version, created, updated, witness } = entry;
    if (registration === undefined) return;
    if (taken.get(did, registration.path) !== undefined)
      throw new RegistryConflict('already-registered', 'the DID or its path is registered');
    if (version !== 1) throw new RegistryConflict('stale-version', 'a DID is registered with its first entry');
    const row: DidRow = {
      id,
      kind: KINDS.indexOf(registration.kind),
      operator: numberOfParty(registration.operator),
      operator_did: registration.operator,
      ...{ did, path: registration.path, version, head, created, updated },
      deactivated: entry.deactivated ? 1 : 0,
      witness: witness ?? null,
    };
    const { operator_did: _, ...stored } = row;
    newDid.run({ ...stored, seal: sealDid(row) });
  }

  function append(entry: EntryToWrite, head: number): number {
    const stored = find.get(entry.did);
    if (stored === undefined) throw new RegistryConflict('not-registered', 'the DID is not registered');
    const before = readDidRow(stored);
    if (before.deactivated === 1) throw new RegistryConflict('deactivated', 'the DID is deactivated');
    if (entry.version !== before.version + 1 || entry.follows !== readVersionId(before.head))
      throw new RegistryConflict('stale-version', `the entry does not follow version ${before.version}`);
    const { version, updated } = entry;
    const row = {
      ...before,
      version,
      head,
      updated,
      deactivated: entry.deactivated ? 1 : 0,
      witness: entry.witness ?? before.witness,
    };
    newHead.run(version, head, updated, row.deactivated, row.witness, sealDid(row), before.id);
    return before.id;
  }

  function takeKeys(thumbprints: readonly Uint8Array[], did: number): void {
    for (const thumbprint of thumbprints) {
      const owner = key.get(thumbprint)?.did;
      if (owner === undefined) newKey.run(thumbprint, did, sealKey(thumbprint, did));
      else if (owner !== did) throw new RegistryConflict('key-already-registered', 'a key belongs to another DID');
    }
  }

  return (entry, now) => {
    const { write, did: name, versionId, version, line } = entry;
    const author = numberOfParty(write.author);
    once.takeNonce(author, write);
    const earlier = once.repeats(author, write, now);
    if (earlier !== undefined)
      return { change: { sequence: earlier, did: name, versionId: readVersionId(earlier) }, repeated: true };
    const last = newest.get();
    const seq = Number(last?.seq ?? 0) + 1;
    let did = Number(last?.id ?? 0) + 1;
    if (entry.registration === undefined) did = append(entry, seq);
    else register(entry, did, seq);
    takeKeys(entry.thumbprints, did);
    newEntry.run({ seq, did, version, line, seal: sealEntry({ seq, did, version, line }) });
    once.keepAnswer(author, seq, entry, now);
    return { change: { sequence: seq, did: name, versionId }, repeated: false };
  };
}
