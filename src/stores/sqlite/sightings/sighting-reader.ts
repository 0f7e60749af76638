// Sightings read out of their file, beside the thread that writes it.

import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { KeptLink, SightingReader, TreeKind } from '../../../sightings/sighting-reader.ts';

const MATCHING: Readonly<Record<TreeKind, string>> = {
  agent: 'agent = ?',
  operator: 'operator = ? AND parent IS NULL',
  key: 'jkt = ?',
  token: 'jti = ?',
  session: 'sid = ?',
  task: 'task = ?',
};

export function makeSightingReader(database: DatabaseSync): SightingReader {
  const hashes = (sql: string, ...values: SQLInputValue[]) =>
    statement(`SELECT token_hash FROM links WHERE ${sql} LIMIT ?`)
      .all(...values)
      .map((row) => String(row.token_hash));
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();
  const find = database.prepare('SELECT * FROM links WHERE token_hash = ?');
  return {
    find: (tokenHash) => {
      const row = find.get(tokenHash);
      return row && linkOf(row);
    },
    matching: (kind, id, { operator, endsAfter, limit }) => {
      const [of, values] = operator === undefined ? ['', []] : [' AND operator = ?', [operator]];
      return hashes(`${MATCHING[kind]}${of} AND exp > ? ORDER BY exp DESC`, id, ...values, endsAfter, limit);
    },
    below: (tokenHash, { endsAfter, limit }) => hashes('parent = ? AND exp > ? ORDER BY exp DESC', tokenHash, endsAfter, limit),
    sessions: ({ operator, agent, endsAfter, after, limit }) => {
      const filters = Object.entries({ operator, agent }).filter((filter): filter is [string, string] => filter[1] !== undefined);
      const conditions = filters.map(([name]) => `${name} = ? AND `).join('');
      // Row values, so that one index gives the place of the cursor and the order.
      const from = after === undefined ? '' : ' AND (exp, token_hash) < (?, ?)';
      return hashes(
        `${conditions}opens_session = 1 AND exp > ?${from} ORDER BY exp DESC, token_hash DESC`,
        ...filters.map(([, value]) => value),
        endsAfter,
        ...(after === undefined ? [] : [after.exp, after.tokenHash]),
        limit,
      );
    },
    countWithin: ({ operator, rootAgent, sid = '', tokenHash }, { endsAfter, limit }) => {
      const row = statement(
        `SELECT coalesce(sum(sets_task), 0) AS tasks, coalesce(sum(delegates), 0) AS delegations FROM (
           SELECT sets_task, delegates, root_agent, token_hash FROM links WHERE operator = ? AND sid = ? AND exp > ? LIMIT ?
         ) WHERE root_agent = ? AND token_hash <> ?`,
      ).get(operator, sid, endsAfter, limit, rootAgent, tokenHash);
      return { tasks: Number(row?.tasks ?? 0), delegations: Number(row?.delegations ?? 0) };
    },
  };

  function statement(sql: string) {
    const there = statements.get(sql) ?? database.prepare(sql);
    statements.set(sql, there);
    return there;
  }
}

function linkOf(row: Record<string, SQLOutputValue>): KeptLink {
  return {
    tokenHash: String(row.token_hash),
    parent: row.parent === null ? undefined : String(row.parent),
    operator: String(row.operator),
    rootAgent: String(row.root_agent),
    agent: String(row.agent),
    jti: String(row.jti),
    jkt: String(row.jkt),
    sid: row.sid === null ? undefined : String(row.sid),
    task: row.task === null ? undefined : String(row.task),
    depth: Number(row.depth),
    iat: Number(row.iat),
    exp: Number(row.exp),
    details: JSON.parse(String(row.details)) as KeptLink['details'],
    opensSession: row.opens_session === 1,
    setsTask: row.sets_task === 1,
    delegates: row.delegates === 1,
    firstSeen: Number(row.first_seen),
    lastSeen: Number(row.last_seen),
    gateway: String(row.gateway),
  };
}
