// A gateway whose store was deleted knows none of the nonces that it accepted: it must not accept one of them again.

import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, type World } from '../../examples/quickstart/local-world.ts';
import { readPrivateKey } from '../../src/crypto/private-key.ts';
import { signRequest } from '../../src/sign/sign-request.ts';

describe('a store that was deleted', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ sidecar: false });
  });
  afterAll(() => world?.stop());

  it('lets no request through that the gateway allowed before', async () => {
    const url = new URL(`${world.gatewayUrl}/openai/v1/chat/completions`);
    const body = Buffer.from(JSON.stringify({ model: 'gpt-5-mini', messages: [{ role: 'user', content: 'once' }] }));
    const key = readPrivateKey(await readFile(world.files.agentKey, 'utf8'));
    const chain = [(await readFile(world.files.capability, 'utf8')).trim()];
    const fields = new Map([['content-type', ['application/json']]]);
    const request = { method: 'POST', authority: url.host, path: url.pathname, query: '?', fields, body };
    const signed = signRequest(request, { key, chain }, { now: Date.now(), lifetimeSeconds: 60, nonce: randomBytes(16) });
    const send = async () => {
      const answer = await fetch(url, { method: 'POST', headers: [['content-type', 'application/json'], ...signed], body });
      await answer.arrayBuffer();
      return answer.status;
    };
    expect(await send()).toBe(200);
    expect(await send()).toBe(401);
    const store = join(world.directory, 'run/hermesbridge.db');
    for (const file of [store, `${store}-wal`, `${store}-shm`]) await rm(file, { force: true });
    await world.restartGateway('SIGKILL');
    expect([401, 503]).toContain(await send());
  });
});
