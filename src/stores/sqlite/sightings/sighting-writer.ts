// Writes links that are new, and of those that are there that they were seen again.

import type { DatabaseSync } from 'node:sqlite';
import type { SightingsConfiguration } from '../../../sightings/configuration.ts';
import { keyOf } from './sighting-database.ts';
import type { SightingRow } from './sighting-protocol.ts';
import { makeSightingRoom } from './sighting-room.ts';

export interface SightingWriter {
  /** @param now seconds since the epoch @returns how many there was no room for */
  write(rows: readonly SightingRow[], now: number): number;
  /** Removes some of what has expired long enough ago. */
  prune(now: number): void;
}

export function makeSightingWriter(database: DatabaseSync, limits: SightingsConfiguration): SightingWriter {
  const touch = database.prepare(
    'UPDATE links SET last_seen = max(last_seen, ?), gateway = ? WHERE token_key = ? AND token_hash = ?',
  );
  const isThere = database.prepare('SELECT 1 FROM links WHERE token_key = ? AND token_hash = ?');
  const columns = [
    ...['operator', 'token_key', 'parent_key', 'root_agent_key', 'agent_key', 'jti_key', 'jkt_key', 'sid_key', 'task_key'],
    ...['token_hash', 'parent', 'root_agent', 'agent', 'jti', 'jkt', 'sid', 'task', 'depth', 'iat', 'exp'],
    ...['opens_session', 'sets_task', 'delegates', 'first_seen', 'last_seen', 'gateway', 'details'],
  ];
  const insert = database.prepare(`INSERT INTO links (${columns.join()}) VALUES (${columns.map(() => '?').join()})`);
  const addOperator = database.prepare('INSERT INTO operators (did) VALUES (?) RETURNING id');
  const idOf = database.prepare('SELECT id FROM operators WHERE did = ?');
  const room = makeSightingRoom(database, limits);

  return {
    write: (rows, now) => rows.reduce((refused, row) => refused + (keep(row, now) ? 0 : 1), 0),
    prune: room.prune,
  };

  function keep(row: SightingRow, now: number): boolean {
    const { tokenHash, parent, rootAgent, agent, jti, jkt, sid, task, depth, iat, exp, details, at, gateway } = row;
    const tokenKey = keyOf(tokenHash);
    if (touch.run(at, gateway, tokenKey, tokenHash).changes > 0) return true;
    const parentKey = parent === undefined ? null : keyOf(parent);
    // Without what is above it nobody could judge it.
    const isOrphan = () => parent !== undefined && isThere.get(parentKey, parent) === undefined;
    if (isOrphan()) return false;
    const operator = operatorId(row.operator);
    const rootAgentKey = keyOf(rootAgent);
    if (!room.isThere(operator, rootAgentKey, now)) return false;
    // Within the skew of clocks a chain may be seen that has just expired here: what was above it may have gone to make room.
    if (isOrphan()) return false;
    insert.run(
      ...[operator, tokenKey, parentKey, rootAgentKey, keyOf(agent), keyOf(jti), keyOf(jkt)],
      ...[sid === undefined ? null : keyOf(sid), task === undefined ? null : keyOf(task)],
      ...[tokenHash, parent ?? null, rootAgent, agent, jti, jkt, sid ?? null, task ?? null, depth, iat, exp],
      ...[row.opensSession ? 1 : 0, row.setsTask ? 1 : 0, row.delegates ? 1 : 0, at, at, gateway, JSON.stringify(details)],
    );
    room.take(operator, rootAgentKey);
    return true;
  }

  function operatorId(did: string): number {
    return Number((idOf.get(did) ?? addOperator.get(did))?.id);
  }
}
