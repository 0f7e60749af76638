// Keeps links within their bounds. Whoever mints links without end uses up the room of its own root agent and of nobody else: there,
// links that have expired make room, and where none has, nothing new is kept.

import type { DatabaseSync } from 'node:sqlite';
import type { SightingsConfiguration } from '../../../sightings/configuration.ts';
import type { SightingRow } from './sighting-protocol.ts';

export interface SightingWriter {
  /** @param now seconds since the epoch @returns how many there was no room for */
  write(rows: readonly SightingRow[], now: number): number;
  /** Removes some of what has expired long enough ago. */
  prune(now: number): void;
}

/** Removed at a time, so that the next batch need not wait long. */
const PRUNED = 5000;
const ROOM = 100;

export function makeSightingWriter(database: DatabaseSync, limits: SightingsConfiguration): SightingWriter {
  const touch = database.prepare('UPDATE links SET last_seen = max(last_seen, ?), gateway = ? WHERE token_hash = ?');
  const isThere = database.prepare('SELECT 1 FROM links WHERE token_hash = ?');
  const insert = database.prepare(
    `INSERT INTO links (token_hash, parent, operator, root_agent, agent, jti, jkt, sid, task, depth, iat, exp, details,
       opens_session, sets_task, delegates, first_seen, last_seen, gateway)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const countOf = database.prepare('SELECT links FROM counts WHERE operator = ? AND root_agent = ?');
  const total = database.prepare('SELECT links FROM total');
  const removeOf = database.prepare(
    `DELETE FROM links WHERE number IN (SELECT number FROM links WHERE operator = ? AND root_agent = ? AND exp <= ?
       ORDER BY exp, depth DESC LIMIT ${ROOM})`,
  );
  const remove = database.prepare(
    'DELETE FROM links WHERE number IN (SELECT number FROM links WHERE exp <= ? ORDER BY exp, depth DESC LIMIT ?)',
  );

  return {
    write: (rows, now) => rows.reduce((refused, row) => refused + (keep(row, now) ? 0 : 1), 0),
    prune: (now) => void remove.run(now - limits.keepSeconds, PRUNED),
  };

  function keep(row: SightingRow, now: number): boolean {
    if (touch.run(row.at, row.gateway, row.tokenHash).changes > 0) return true;
    // Without what is above it nobody could judge it.
    if (row.parent !== undefined && isThere.get(row.parent) === undefined) return false;
    if (!hasRoom(row, now)) return false;
    const { tokenHash, parent, operator, rootAgent, agent, jti, jkt, sid, task, depth, iat, exp, details } = row;
    insert.run(
      tokenHash,
      parent ?? null,
      operator,
      rootAgent,
      agent,
      jti,
      jkt,
      sid ?? null,
      task ?? null,
      depth,
      iat,
      exp,
      JSON.stringify(details),
      row.opensSession ? 1 : 0,
      row.setsTask ? 1 : 0,
      row.delegates ? 1 : 0,
      row.at,
      row.at,
      row.gateway,
    );
    return true;
  }

  function hasRoom({ operator, rootAgent, parent }: SightingRow, now: number): boolean {
    const its = Number(countOf.get(operator, rootAgent)?.links ?? 0);
    if (its >= limits.maxLinksPerAgent && removeOf.run(operator, rootAgent, now).changes === 0) return false;
    if (Number(total.get()?.links ?? 0) >= limits.maxLinks && remove.run(now, ROOM).changes === 0) return false;
    // Within the skew of clocks a chain may be seen that has just expired here: what was above it may have gone to make room.
    return parent === undefined || isThere.get(parent) !== undefined;
  }
}
