// What the sidecar answers to Envoy: which chain signs a request, and that the header that names its task ends here.

import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { makeSignAnswer } from '../../src/ext-authz/answer-sign.ts';
import { passed } from '../../src/outcome.ts';
import type { ChainSettings } from '../../src/sign/agent-chains.ts';
import { parseLinkToken } from '../../src/token/link-token.ts';
import { CHECK_RESPONSE, decode, fullProtos } from '../protos.ts';
import { type RootChanges, rootOf, sidecarOf } from '../sign/held.ts';

interface Reply {
  readonly ok_response?: {
    readonly headers?: readonly { readonly header: { readonly key: string; readonly value: string } }[];
    readonly headers_to_remove?: readonly string[];
  };
  readonly denied_response?: { readonly status: { readonly code: number }; readonly body: string };
}

interface Asked {
  readonly fields?: Readonly<Record<string, readonly string[]>>;
  readonly root?: RootChanges;
  readonly settings?: Partial<Omit<ChainSettings, 'clock' | 'log'>>;
  readonly taskHeader?: string;
}

async function ask({ fields = {}, root, settings, taskHeader = 'x-agent-task' }: Asked) {
  const { chains, clock } = sidecarOf(await rootOf(root), settings);
  const answer = makeSignAnswer({
    credentials: (task) => chains.forRequest(task),
    taskHeader: () => taskHeader,
    localSecretHash: () => createHash('sha256').update('secret').digest(),
    gatewayAuthority: 'gateway.example',
    lifetimeSeconds: 60,
    clock: () => clock.now,
    log: pino({ level: 'silent' }),
  });
  const bytes = await answer(
    passed({
      streamId: 'stream',
      method: 'POST',
      authority: 'localhost',
      path: '/openai/v1/chat/completions',
      query: '?',
      fields: new Map(Object.entries({ authorization: ['Bearer secret'], 'content-type': ['application/json'], ...fields })),
      body: Buffer.from('{}'),
    }),
    { id: undefined, givenUp: false },
  );
  const reply = decode(fullProtos, CHECK_RESPONSE, bytes) as Reply;
  const set = new Map(reply.ok_response?.headers?.map(({ header }) => [header.key, header.value]));
  const tokens = (set.get('agent-capability') ?? '').split(', ').map((token) => token.slice(1, -1));
  return { tokens, set, removed: reply.ok_response?.headers_to_remove ?? [], denied: reply.denied_response };
}

const claimsOfLast = (tokens: readonly string[]) => parseLinkToken(tokens.at(-1) ?? '').untrustedClaims;

test('a request that names no task is signed in the session', async () => {
  const { tokens, set, removed } = await ask({});
  expect(tokens).toHaveLength(2);
  const leaf = parseLinkToken(tokens[1] ?? '');
  expect(leaf.untrustedClaims.task).toBeUndefined();
  expect(set.get('signature-input')).toContain(`;keyid="${leaf.untrustedJkt}";`);
  expect(removed).toEqual(['authorization']);
});

test('one that names a task is signed under its scope, and the header is removed', async () => {
  const { tokens, removed } = await ask({ fields: { 'x-agent-task': ['invoice-17'] } });
  expect(tokens).toHaveLength(3);
  expect(claimsOfLast(tokens).task).toBe('invoice-17');
  expect(removed).toEqual(['authorization', 'x-agent-task']);
});

test('the header can have another name, and then this one is a header like any other', async () => {
  const fields = { 'x-agent-task': ['one'], 'x-job': ['two'] };
  const { tokens, removed } = await ask({ fields, taskHeader: 'x-job' });
  expect(claimsOfLast(tokens).task).toBe('two');
  expect(removed).toEqual(['authorization', 'x-job']);
});

test.each([
  ['twice', ['a', 'a']],
  ['empty', ['']],
  ['with a blank', ['a b']],
  ['beyond ASCII', ['Ã¼']],
  ['of 129 characters', ['a'.repeat(129)]],
])('a task %s is refused', async (_, lines) => {
  const { denied } = await ask({ fields: { 'x-agent-task': lines } });
  expect(denied?.status.code).toBe(400);
  expect(JSON.parse(denied?.body ?? '')).toMatchObject({ error: { code: 'malformed', message: /x-agent-task/ } });
});

test('a task of 128 characters is not', async () => {
  const task = '!'.repeat(128);
  expect(claimsOfLast((await ask({ fields: { 'x-agent-task': [task] } })).tokens).task).toBe(task);
});

test('a task without room is refused, unless it need not have one: the header is removed then too', async () => {
  const asked = { fields: { 'x-agent-task': ['t'] }, root: { maxDepth: 1 } };
  const { denied } = await ask(asked);
  expect(denied?.status.code).toBe(403);
  expect(JSON.parse(denied?.body ?? '')).toMatchObject({ error: { code: 'capability-insufficient', message: /--max-depth/ } });
  const task = { header: 'x-agent-task', lifetimeMinutes: 15, required: false };
  const { tokens, removed } = await ask({ ...asked, settings: { task } });
  expect(claimsOfLast(tokens).task).toBeUndefined();
  expect(removed).toContain('x-agent-task');
});

test('a capability without room for a session is signed with as it is', async () => {
  expect((await ask({ root: { maxDepth: 0 } })).tokens).toHaveLength(1);
});

test('nobody opens a task without the local secret', async () => {
  const { denied } = await ask({ fields: { authorization: ['Bearer other'], 'x-agent-task': ['t'] } });
  expect(denied?.status.code).toBe(401);
});
