// The control API as `revoke --wait` uses it: the statement is posted, which makes it durable, and then it is asked for until every
// gateway has it in force. Over a connection that is open, so that what is measured is not the making of one.

import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import type { RestrictionTarget } from '../../../src/restrictions/restriction.ts';
import type { RestrictionAuthor } from '../../../src/restrictions/sign-restriction.ts';
import { signRestriction } from '../../../src/restrictions/sign-restriction.ts';
import { monotonic } from '../monotonic.ts';

/** Times on the machine's monotonic clock. */
export interface Revoked {
  readonly sentAt: number;
  readonly acknowledgedAt: number;
  /** Gateways that have it in force. */
  readonly followers: number;
}

export interface ControlApi {
  revoke(target: RestrictionTarget): Promise<Revoked>;
  close(): void;
}

const WAIT_SECONDS = 5;

/** @throws when the vault refuses, or says that not everyone has it */
export function openControlApi(origin: string, trustedCaFile: string, author: RestrictionAuthor): ControlApi {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: readFileSync(trustedCaFile) });
  const ask = <T>(method: string, path: string, body?: object): Promise<T> =>
    new Promise((resolve, reject) => {
      const bytes = body && Buffer.from(JSON.stringify(body));
      const headers = bytes && { 'content-type': 'application/json', 'content-length': bytes.length };
      const sent = request(new URL(path, origin), { method, agent, ...(headers && { headers }) });
      sent.on('error', reject).on('response', async (answer) => {
        const text = (await answer.toArray()).join('');
        if ((answer.statusCode ?? 500) < 300) resolve(JSON.parse(text) as T);
        else reject(new Error(`${method} ${path}: ${answer.statusCode} ${text}`));
      });
      sent.end(bytes);
    });
  return {
    revoke: async (target) => {
      const at = Math.floor(Date.now() / 1000);
      const restriction = signRestriction({ effect: 'revoke', target, at, reason: 'bench' }, author);
      const sentAt = monotonic();
      const { sequence } = await ask<{ sequence: number }>('POST', '/v1/restrictions', { restriction });
      const path = `/v1/restrictions/${sequence}/acknowledged?wait=${WAIT_SECONDS}`;
      const { acknowledged, followers, missing } = await ask<{ acknowledged: boolean; followers: number; missing: string[] }>(
        'GET',
        path,
      );
      if (!acknowledged) throw new Error(`not in force after ${WAIT_SECONDS} s at ${missing.join(', ')}`);
      return { sentAt, acknowledgedAt: monotonic(), followers };
    },
    close: () => agent.destroy(),
  };
}
