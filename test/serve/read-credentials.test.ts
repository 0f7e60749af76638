// What a sidecar takes for its key and capability: a root, or a chain whose last token is bound to the key.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ConfigurationError, type SignConfiguration } from '../../src/config.ts';
import { exportPrivateJwk, type PrivateKey } from '../../src/crypto/private-key.ts';
import { readCredentials } from '../../src/serve/start-sign.ts';
import { makeRoot, NOW } from '../checks/chain/chain-pool.ts';
import { keyOf } from '../keys.ts';
import { linkBelow, type MadeToken } from '../link.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-credentials-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const root = makeRoot({ type: 'llm_access', actions: ['chat'] });
const session = linkBelow(root, { key: keyOf('session'), claims: { sid: 's-1', exp: NOW + 100 } });
const second = linkBelow(session, { key: keyOf('second') });

async function read(key: PrivateKey, tokens: readonly MadeToken[], between = '\n') {
  const files = { key: join(directory, 'key'), capability: join(directory, 'capability') };
  writeFileSync(files.key, JSON.stringify(exportPrivateJwk(key)), { mode: 0o600 });
  writeFileSync(files.capability, tokens.map(({ compact }) => compact).join(between), { mode: 0o600 });
  const configuration = {
    key: { file: files.key },
    capability: { file: files.capability },
    tasks: {},
  } as unknown as SignConfiguration;
  return readCredentials(configuration).catch((error: unknown) => {
    if (error instanceof ConfigurationError) return error.problems.join();
    throw error;
  });
}

test.each([
  [keyOf('agent'), [root], Number(root.claims.exp)],
  [keyOf('session'), [root, session], NOW + 100],
  [keyOf('second'), [root, session, second], NOW + 100],
])('a chain of %# links and a root is taken, and ends with its last token', async (key, tokens, expires) => {
  expect(await read(key, tokens)).toMatchObject({ chain: tokens.map(({ compact }) => compact), expiresAt: expires * 1000 });
  expect(await read(key, tokens, '\r\n\n')).toMatchObject({ chain: tokens.map(({ compact }) => compact) });
});

test.each<[string, PrivateKey, MadeToken[], string]>([
  ['bound to another key', keyOf('agent'), [root, session], 'sign.capability: was issued to another key than sign.key'],
  [
    'without its middle',
    keyOf('second'),
    [root, second],
    'sign.capability: link 1 is not issued by the key of the token above it (iss)',
  ],
  ['in another order', keyOf('session'), [session, root], 'sign.capability: link 1 is not in the form of the profile'],
  ['of a link alone', keyOf('session'), [session], 'sign.capability: the root token is not in the form of the profile'],
])('a chain %s is not', async (_, key, tokens, problem) => {
  expect(await read(key, tokens)).toContain(problem);
});
