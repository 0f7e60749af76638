// When the vault cannot do what it should: the caller is told to come back, and nothing of the inside.

import { expect, test } from 'vitest';
import { Operator } from './operator.ts';
import { startVault, startWith } from './vault-world.ts';

const acme = new Operator('acme');

test('a store that cannot be read or written answers 503, and nothing is lost or made up', async () => {
  const world = await startWith(acme);
  try {
    await world.closeStore();
    for (const path of [
      '/v1/health',
      '/v1/agents',
      `/v1/operators/${encodeURIComponent(acme.did)}`,
      '/operators/acme/did.jsonl',
      '/v1/changes?after=0',
    ]) {
      const { status, headers, body } = await world.ask(path);
      expect([status, headers['retry-after'], body.type]).toEqual([503, '1', 'urn:hermesbridge:control:unavailable']);
    }
    expect((await world.register(acme, acme.agent('reader'))).status).toBe(503);
    expect(world.logged.join('')).toContain('control request failed');
  } finally {
    await world.stop();
  }
});

test('a log that could not be verified is not kept, and may come again', async () => {
  const world = await startWith(acme);
  try {
    world.verifier.close();
    const { status, body } = await world.register(acme, acme.agent('reader'), { idempotencyKey: 'one' });
    expect([status, body.type]).toEqual([503, 'urn:hermesbridge:control:unavailable']);
    expect((await world.ask('/v1/agents')).body.items).toEqual([]);
  } finally {
    await world.stop();
  }
});

test('a defect is told by the id of the request, and the log has the rest', async () => {
  const clock = () => {
    throw new Error('what nobody outside should read');
  };
  const world = await startVault({ operators: [acme], clock });
  try {
    const { status, body, text } = await world.register(acme, acme.log);
    expect([status, body.type]).toEqual([500, 'urn:hermesbridge:control:internal']);
    expect(text).not.toContain('nobody outside');
    const line = world.logged.map((one) => JSON.parse(one)).find(({ msg }) => msg === 'control request failed');
    expect(`urn:uuid:${line.id}`).toBe(body.instance);
    expect(line.err.message).toContain('nobody outside');
  } finally {
    await world.stop();
  }
});
