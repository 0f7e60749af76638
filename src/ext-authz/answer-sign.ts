// The sidecar's answer (profile section 9): the caller is the agent beside it, so its request gets the headers of section 2.

import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Logger } from 'pino';
import type { Reason } from '../reason.ts';
import type { HeaderFields, InboundRequest } from '../request.ts';
import { TaskRefused } from '../sign/agent-chains.ts';
import { TASK_NAME } from '../sign/configuration.ts';
import type { HeldChain } from '../sign/held-chain.ts';
import { type SigningCredentials, signRequest, UnsignableRequest } from '../sign/sign-request.ts';
import type { Answer } from './authorization-service.ts';
import { encodeAllow, encodeDeny, metadataStruct } from './build-check-response.ts';
import { problem } from './problem.ts';

export interface SignSettings {
  /** What to sign a request of this task with. @throws {TaskRefused} */
  readonly credentials: (task: string | undefined) => Promise<HeldChain>;
  /** Header that names a request's task; it ends here. In lower case. */
  readonly taskHeader: () => string;
  /** SHA-256 of the secret that local callers present as their API key. */
  readonly localSecretHash: () => Buffer;
  readonly gatewayAuthority: string;
  readonly lifetimeSeconds: number;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly log: Logger;
}

export function makeSignAnswer(settings: SignSettings): Answer {
  return async (parsed) => {
    const deny = (reason: Reason, detail: string) => {
      const id = randomUUID();
      settings.log.warn({ decisionId: id, reason, detail }, 'not signed');
      return encodeDeny(problem(reason, detail, id, settings.clock()));
    };
    if (parsed.denied) return deny(parsed.reason, parsed.detail);
    const request = parsed.proof;
    if (!presentsSecret(request.fields, settings.localSecretHash())) {
      return deny('local-secret', "Set the SDK's API key to the local secret of this sidecar.");
    }
    const taskHeader = settings.taskHeader();
    const tasks = request.fields.get(taskHeader) ?? [];
    if (tasks.length > 1 || !tasks.every((task) => TASK_NAME.test(task)))
      return deny('malformed', `The header ${taskHeader} names one task, in 1 to 128 visible ASCII characters.`);
    try {
      const credentials = await settings.credentials(tasks[0]);
      const now = settings.clock();
      if (credentials.expiresAt <= now) return deny('chain-invalid', "The sidecar's capability has expired: issue a new one.");
      const set = sign(request, credentials, settings, now);
      return encodeAllow({ set, remove: headersToRemove(request.fields, set, taskHeader), metadata: SIGNED });
    } catch (error) {
      if (error instanceof UnsignableRequest) return deny('malformed', `The request cannot be signed: ${error.message}.`);
      if (error instanceof TaskRefused) return deny('capability-insufficient', error.message);
      throw error;
    }
  };
}

const SIGNED = metadataStruct({ signed: 'cap' });

function sign(request: InboundRequest, credentials: SigningCredentials, settings: SignSettings, now: number): [string, string][] {
  const fields = new Map([...request.fields].filter(([name]) => !isAgentsOwn(name)));
  const moment = { now, lifetimeSeconds: settings.lifetimeSeconds, nonce: randomBytes(16) };
  return signRequest({ ...request, fields, authority: settings.gatewayAuthority }, credentials, moment);
}

/** Where the SDKs put their API key. It ends here: the gateway has no use for it. */
const SECRET_FIELDS = ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key'];

function presentsSecret(fields: HeaderFields, expected: Buffer): boolean {
  return SECRET_FIELDS.some((name) =>
    (fields.get(name) ?? []).some((value) => {
      const secret = name === 'authorization' ? value.replace(/^Bearer +/i, '') : value;
      return timingSafeEqual(createHash('sha256').update(secret, 'latin1').digest(), expected);
    }),
  );
}

/** What the sidecar makes itself, or an agent must not choose. */
function isAgentsOwn(name: string): boolean {
  return /^(?:agent-|signature|content-digest$)/.test(name);
}

/** Never a name that is also set: Envoy removes after it sets. */
function headersToRemove(fields: HeaderFields, set: readonly (readonly [string, string])[], taskHeader: string): string[] {
  const isForSidecar = (name: string) => SECRET_FIELDS.includes(name) || isAgentsOwn(name) || name === taskHeader;
  return [...fields.keys()].filter((name) => isForSidecar(name) && !set.some(([setName]) => setName === name));
}
