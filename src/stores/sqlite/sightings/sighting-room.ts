// Keeps links within their bounds. Whoever mints links without end uses up the room of its own root agent and of nobody else: there,
// links that have expired make room, and where none has, nothing new is kept.

import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { SightingsConfiguration } from '../../../sightings/configuration.ts';
import { makeSegments } from './sighting-database.ts';

export interface SightingRoom {
  /** Makes some where there is none. @param now seconds since the epoch */
  isThere(operator: number, rootAgentKey: number, now: number): boolean;
  /** For one link. */
  take(operator: number, rootAgentKey: number): void;
  /** Removes some of what has expired long enough ago. */
  prune(now: number): void;
}

/** Removed at a time, so that the next batch need not wait long. */
const PRUNED = 5000;
const ROOM = 100;

/** Counted here and not by triggers, for which SQLite would write down every page of a change a second time. */
export function makeSightingRoom(database: DatabaseSync, limits: SightingsConfiguration): SightingRoom {
  const countOf = database.prepare('SELECT links FROM counts WHERE operator = ? AND root_agent_key = ?');
  const total = database.prepare('SELECT links FROM total');
  const countOne = database.prepare(
    'INSERT INTO counts VALUES (?, ?, 1) ON CONFLICT (operator, root_agent_key) DO UPDATE SET links = links + 1',
  );
  const uncountOne = database.prepare(
    'UPDATE counts SET links = links - 1 WHERE operator = ? AND root_agent_key = ? RETURNING links',
  );
  const forget = database.prepare('DELETE FROM counts WHERE operator = ? AND root_agent_key = ?');
  const changeTotal = database.prepare('UPDATE total SET links = links + ?');
  const segments = makeSegments(database);
  const remove = database.prepare('DELETE FROM links WHERE number = ?');
  // Of those that expire together the later ones first: a link is written after what is above it.
  const expired = database.prepare(
    'SELECT number, exp, operator, root_agent_key FROM links WHERE exp <= ? ORDER BY exp, number DESC LIMIT ?',
  );
  const expiredOf = database.prepare(
    `SELECT number, exp, operator, root_agent_key FROM links
       WHERE segment = ? AND operator = ? AND root_agent_key = ? AND exp <= ? ORDER BY exp, number DESC LIMIT ${ROOM}`,
  );

  return {
    isThere: (operator, rootAgentKey, now) => {
      const its = Number(countOf.get(operator, rootAgentKey)?.links ?? 0);
      if (its >= limits.maxLinksPerAgent && removeAll(firstOf(operator, rootAgentKey, now)) === 0) return false;
      return Number(total.get()?.links ?? 0) < limits.maxLinks || removeAll(expired.all(now, ROOM)) > 0;
    },
    take: (operator, rootAgentKey) => {
      countOne.run(operator, rootAgentKey);
      changeTotal.run(1);
    },
    prune: (now) => void removeAll(expired.all(now - limits.keepSeconds, PRUNED)),
  };

  function firstOf(operator: number, rootAgentKey: number, now: number): Row[] {
    const found = segments().flatMap((segment) => expiredOf.all(segment, operator, rootAgentKey, now));
    found.sort((one, other) => Number(one.exp) - Number(other.exp) || Number(other.number) - Number(one.number));
    return found.slice(0, ROOM);
  }

  function removeAll(rows: readonly Row[]): number {
    for (const { number, operator, root_agent_key } of rows) {
      remove.run(Number(number));
      const left = uncountOne.get(Number(operator), Number(root_agent_key))?.links;
      if (left === 0) forget.run(Number(operator), Number(root_agent_key));
    }
    changeTotal.run(-rows.length);
    return rows.length;
  }
}

type Row = Record<string, SQLOutputValue>;
