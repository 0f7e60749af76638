// The feed of changes: told at once to those who wait, in order, none missed, and no one is held up when the vault stops.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { fresh, Operator } from './operator.ts';
import { startVault, startWith, type World } from './vault-world.ts';

const acme = new Operator('acme');
let world: World;

beforeAll(async () => {
  world = await startWith(acme);
});
afterAll(() => world.stop());

const where = async () => (await world.ask('/v1/changes')).body;
const wait = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));

test('the first question is answered at once with where the vault stands', async () => {
  const { epoch, changes, last } = await where();
  expect([epoch, changes, last]).toEqual([world.store.epoch, [], world.store.lastSequence()]);
});

test('whoever waits is told within 100 ms of the answer to the write', async () => {
  const { epoch, last } = await where();
  const waiting = [1, 2, 3].map(() =>
    world.ask(`/v1/changes?after=${last}&epoch=${epoch}&wait=20`).then((answer) => ({ answer, at: performance.now() })),
  );
  await wait(200);
  const log = acme.agent(fresh('agent'));
  const { body } = await world.register(acme, log);
  const written = performance.now();
  for (const { answer, at } of await Promise.all(waiting)) {
    expect(answer.body.changes).toEqual([{ sequence: last + 1, did: log.did, versionId: body.versionId }]);
    expect(at - written).toBeLessThan(100);
  }
});

test('a change between two questions is told by the second', async () => {
  const { epoch, last } = await where();
  const logs = [acme.agent(fresh('agent')), acme.agent(fresh('agent'))];
  for (const log of logs) await world.register(acme, log);
  const { changes } = (await world.ask(`/v1/changes?after=${last}&epoch=${epoch}&wait=20`)).body;
  expect(changes.map(({ did }: { did: string }) => did)).toEqual(logs.map(({ did }) => did));
});

test('the answer is empty when the time is over', async () => {
  const { last } = await where();
  const started = performance.now();
  expect((await world.ask(`/v1/changes?after=${last}&wait=1`)).body).toMatchObject({ changes: [], last });
  expect(performance.now() - started).toBeGreaterThan(900);
});

test('a follower of another history, or of a later one, is told at once where the vault stands', async () => {
  const { last } = await where();
  expect((await world.ask(`/v1/changes?after=0&epoch=another&wait=20`)).body).toMatchObject({ changes: [], last });
  expect((await world.ask(`/v1/changes?after=${last + 5}&wait=20`)).body).toMatchObject({ changes: [], last });
});

test('more than may wait are sent away, and who has gone waits no more', async () => {
  const own = await startVault({
    operators: [acme],
    configuration: { service: { listen: '127.0.0.1:0', maxConnections: 16 } },
  });
  try {
    const question = '/v1/changes?after=0&wait=20';
    const waiting = Array.from({ length: 8 }, () => own.ask(question));
    await wait(300);
    const { status, headers } = await own.ask(question);
    expect([status, headers['retry-after']]).toEqual([503, '1']);
    expect((await own.register(acme, acme.log)).status).toBe(201);
    for (const { body } of await Promise.all(waiting)) expect(body.changes).toHaveLength(1);
    const gone = new AbortController();
    const [host, port] = own.address.split(':');
    const left = Array.from({ length: 8 }, () =>
      fetch(`http://${host}:${port}/v1/changes?after=1&wait=20`, { signal: gone.signal }).catch(() => undefined),
    );
    await wait(300);
    gone.abort();
    await Promise.all(left);
    await wait(100);
    expect((await own.ask('/v1/changes?after=1&wait=1')).status).toBe(200);
  } finally {
    await own.stop();
  }
});

test('the vault stops at once, with an answer for each who waits', async () => {
  const own = await startVault({ operators: [acme] });
  const waiting = Array.from({ length: 5 }, () => own.ask('/v1/changes?after=0&wait=25'));
  await wait(300);
  const started = performance.now();
  await own.stop();
  expect(performance.now() - started).toBeLessThan(2000);
  for (const { status, body } of await Promise.all(waiting)) expect([status, body.changes]).toEqual([200, []]);
});
