// Sightings read out of their file, beside the thread that writes it.

import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { KeptLink, SightingReader, TreeKind } from '../../../sightings/sighting-reader.ts';
import { keyOf, makeSegments } from './sighting-database.ts';

/** The column of a name; of an operator, its roots are meant. */
const NAMED_BY: Readonly<Record<Exclude<TreeKind, 'operator'>, string>> = {
  agent: 'agent',
  key: 'jkt',
  token: 'jti',
  session: 'sid',
  task: 'task',
};

interface Found {
  readonly hash: string;
  readonly exp: number;
  readonly key: number;
}

export function makeSightingReader(database: DatabaseSync): SightingReader {
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();
  const find = database.prepare(
    'SELECT links.*, did FROM links JOIN operators ON operators.id = operator WHERE token_key = ? AND token_hash = ?',
  );
  const idOf = database.prepare('SELECT id FROM operators WHERE did = ?');
  const allIds = database.prepare('SELECT id FROM operators');
  const segments = makeSegments(database);

  return {
    find: (tokenHash) => {
      const row = find.get(keyOf(tokenHash), tokenHash);
      return row && linkOf(row);
    },
    matching: (kind, id, { operator, endsAfter, limit }) => {
      if (kind === 'operator') {
        const asked = operator === undefined || operator === id ? id : undefined;
        return hashes(
          asked === undefined ? [] : idsOf(asked),
          'parent_key IS NULL AND exp > ? ORDER BY exp DESC',
          [endsAfter],
          limit,
        );
      }
      const column = NAMED_BY[kind];
      return hashes(
        idsOf(operator),
        `${column}_key = ? AND ${column} = ? AND exp > ? ORDER BY exp DESC`,
        [keyOf(id), id, endsAfter],
        limit,
      );
    },
    below: (tokenHash, { endsAfter, limit }) =>
      newestOf(
        segments().flatMap((segment) =>
          each('parent_key = ? AND parent = ? AND exp > ? ORDER BY exp DESC', [
            segment,
            keyOf(tokenHash),
            tokenHash,
            endsAfter,
            limit,
          ]),
        ),
        limit,
      ),
    sessions: ({ operator, agent, endsAfter, after, limit }) => {
      const conditions = ['opens_session = 1 AND exp > ?'];
      const values: SQLInputValue[] = [endsAfter];
      if (agent !== undefined) {
        conditions.push('agent_key = ? AND agent = ?');
        values.push(keyOf(agent), agent);
      }
      // Row values, so that one index gives the place of the cursor and the order.
      if (after !== undefined) {
        conditions.push('(exp, token_key) < (?, ?)');
        values.push(after.exp, keyOf(after.tokenHash));
      }
      return hashes(idsOf(operator), `${conditions.join(' AND ')} ORDER BY exp DESC, token_key DESC`, values, limit);
    },
    countWithin: ({ operator, rootAgent, sid = '', tokenHash }, { endsAfter, limit }) => {
      const within = { tasks: 0, delegations: 0 };
      let left = limit;
      for (const segment of segments()) {
        for (const id of idsOf(operator)) {
          const rows = statement(
            `SELECT sets_task, delegates, root_agent, token_hash FROM links
               WHERE segment = ? AND operator = ? AND sid_key = ? AND sid = ? AND exp > ? LIMIT ?`,
          ).all(segment, id, keyOf(sid), sid, endsAfter, left);
          left -= rows.length;
          for (const row of rows) {
            if (row.root_agent !== rootAgent || row.token_hash === tokenHash) continue;
            within.tasks += Number(row.sets_task);
            within.delegations += Number(row.delegates);
          }
        }
      }
      return within;
    },
  };

  /** Of every segment as many as are wanted, and of these those that last longest. */
  function hashes(operators: readonly number[], where: string, values: readonly SQLInputValue[], limit: number): string[] {
    const found = segments().flatMap((segment) =>
      operators.flatMap((operator) => each(`operator = ? AND ${where}`, [segment, operator, ...values, limit])),
    );
    return newestOf(found, limit);
  }

  function each(where: string, values: readonly SQLInputValue[]): Found[] {
    return statement(`SELECT token_hash, exp, token_key FROM links WHERE segment = ? AND ${where} LIMIT ?`)
      .all(...values)
      .map(({ token_hash, exp, token_key }) => ({ hash: String(token_hash), exp: Number(exp), key: Number(token_key) }));
  }

  function idsOf(operator: string | undefined): number[] {
    const rows = operator === undefined ? allIds.all() : idOf.all(operator);
    return rows.map(({ id }) => Number(id));
  }

  function statement(sql: string) {
    const there = statements.get(sql) ?? database.prepare(sql);
    statements.set(sql, there);
    return there;
  }
}

function newestOf(found: Found[], limit: number): string[] {
  const sorted = found.sort((one, other) => other.exp - one.exp || other.key - one.key);
  return sorted.slice(0, limit).map(({ hash }) => hash);
}

function linkOf(row: Record<string, SQLOutputValue>): KeptLink {
  return {
    tokenHash: String(row.token_hash),
    parent: row.parent === null ? undefined : String(row.parent),
    operator: String(row.did),
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
