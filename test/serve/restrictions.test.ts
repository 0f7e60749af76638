// A vault and two gateways elsewhere, over HTTPS: a revocation is in force on every one of them within a second of its
// acknowledgement, and what becomes of them when the vault falls silent, comes back, or was put back from a backup
// (docs/threat-model.md D8, H7, H8, X31, X32).

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Logger, pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { parseConfiguration, type VerifyConfiguration } from '../../src/config.ts';
import { controlConfiguration } from '../../src/control/configuration.ts';
import { startResolution } from '../../src/serve/resolution.ts';
import { type GatewayRestrictions, startRestrictions } from '../../src/serve/restrictions.ts';
import { type RunningVault, startControl } from '../../src/serve/start-control.ts';
import { openRestrictions, renewEpoch } from '../../src/stores/sqlite/restrictions/restriction-database.ts';
import { makeCertificates } from '../envoy/certificates.ts';
import { askVault, did, revocation } from './ask-vault.ts';

const BOUND_SECONDS = 2;

interface Gateway {
  readonly restrictions: GatewayRestrictions;
  readonly logged: string[];
  isRevoked(jti: string): boolean;
  stop(): Promise<void>;
}

let directory: string;
let ca: string;
let origin: string;
let start: () => Promise<RunningVault>;
let vault: RunningVault | undefined;
const gateways: Gateway[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hb-feed-'));
  const { trustedCaFile, server } = await makeCertificates(directory);
  ca = trustedCaFile;
  const port = await freePort();
  origin = `https://localhost:${port}`;
  const configuration = controlConfiguration.parse({
    service: { listen: `127.0.0.1:${port}`, tls: { certificate: server.certificateFile, key: server.keyFile } },
    origin,
    operators: [did],
    store: { file: join(directory, 'vault.db') },
  });
  start = () => startControl(configuration, { log: pino({ level: 'silent' }), clock: Date.now });
  vault = await start();
  for (const name of ['one', 'two']) gateways.push(await startGateway(name));
});

afterAll(async () => {
  for (const gateway of gateways) await gateway.stop();
  await vault?.stop();
  rmSync(directory, { recursive: true, force: true });
});

function configurationOf(name: string): VerifyConfiguration {
  const { verify } = parseConfiguration(
    JSON.stringify({
      verify: {
        gateway: { names: ['gateway.example'] },
        trust: { operators: [{ did }] },
        providers: { openai: { api: 'openai', credential: { file: 'x' } } },
        store: { file: join(directory, `${name}.db`) },
        resolution: { allowedAddresses: ['127.0.0.0/8', '::1/128'], trustedCa: ca },
        restrictions: { feed: origin, maxStaleSeconds: BOUND_SECONDS },
      },
    }),
    'gateway.yaml',
  );
  if (verify === undefined) throw new Error('no role');
  return verify;
}

async function startGateway(name: string): Promise<Gateway> {
  const configuration = configurationOf(name);
  const logged: string[] = [];
  const log: Logger = pino({}, { write: (line: string) => void logged.push(line) });
  const resolution = await startResolution({
    configuration: configuration.resolution,
    seenFile: `${configuration.store.file}-logs`,
    localVault: undefined,
    log,
    clock: Date.now,
  });
  const restrictions = await startRestrictions({ configuration, local: undefined, resolution, log, clock: Date.now });
  const isRevoked = (jti: string) =>
    'revoked' in restrictions.inForce.find({ operator: { did }, links: [{ agent: 'did:web:a', jti, jkt: 'k', iat: 1 }] });
  return {
    restrictions,
    logged,
    isRevoked,
    stop: async () => {
      await restrictions.stop();
      await resolution.stop();
    },
  };
}

const ask = <T>(path: string, body?: object) => askVault<T>(new URL(path, origin), ca, body);

const post = (restriction: string) => ask<{ id: string; sequence: number }>('/v1/restrictions', { restriction });
const soon = { timeout: 15_000, interval: 5 };
const allFresh = () => expect.poll(() => gateways.every(({ restrictions }) => restrictions.inForce.isFresh()), soon).toBe(true);

test('D8 X31 a revocation is in force on every gateway within a second of its acknowledgement, and --wait says when', async () => {
  await allFresh();
  const took: number[] = [];
  for (let round = 0; round < 10; round++) {
    const jti = `token-${round}`;
    expect(gateways.map(({ isRevoked }) => isRevoked(jti))).toEqual([false, false]);
    const { status, value } = await post(revocation(jti));
    expect(status).toBe(201);
    const acknowledged = performance.now();
    await expect.poll(() => gateways.every(({ isRevoked }) => isRevoked(jti)), soon).toBe(true);
    took.push(performance.now() - acknowledged);
    const { value: told } = await ask(`/v1/restrictions/${value.sequence}/acknowledged?wait=10`);
    expect(told).toMatchObject({ acknowledged: true, followers: 2, missing: [] });
  }
  took.sort((a, b) => a - b);
  expect(took.at(took.length >> 1), `${took.map(Math.round)} ms`).toBeLessThan(1000);
  for (const { restrictions } of gateways) expect(restrictions.inForce.highWaterMark).toBe(10);
});

test('H8 X32 a vault that is silent for longer than the bound makes every gateway deny, until it is back', async () => {
  await allFresh();
  await vault?.stop();
  vault = undefined;
  await expect.poll(() => gateways.some(({ restrictions }) => restrictions.inForce.isFresh()), soon).toBe(false);
  for (const { isRevoked } of gateways) expect(isRevoked('token-0')).toBe(true);
  vault = await start();
  await allFresh();
  expect((await post(revocation('after'))).status).toBe(201);
  await expect.poll(() => gateways.every(({ isRevoked }) => isRevoked('after')), soon).toBe(true);
});

test('H7 a vault that was put back from a backup is refused until it says so, and what it lost stays in force', async () => {
  const file = join(directory, 'vault.db-restrictions');
  await allFresh();
  const backup = new DatabaseSync(file);
  backup.exec(`VACUUM INTO '${file}-backup'`);
  backup.close();
  await post(revocation('lost'));
  await expect.poll(() => gateways.every(({ isRevoked }) => isRevoked('lost')), soon).toBe(true);
  await vault?.stop();
  for (const end of ['-wal', '-shm']) rmSync(file + end, { force: true });
  copyFileSync(`${file}-backup`, file);
  vault = await start();
  const alarmed = (text: string) =>
    gateways.every(({ logged }) => logged.some((line) => line.includes('ALARM') && line.includes(text)));
  await expect.poll(() => alarmed('cannot be believed'), soon).toBe(true);
  await expect.poll(() => gateways.some(({ restrictions }) => restrictions.inForce.isFresh()), soon).toBe(false);
  // As much in place of what was lost: it is another story all the same.
  await post(revocation('instead'));
  await new Promise((resolve) => setTimeout(resolve, 1500));
  for (const { isRevoked, restrictions } of gateways) {
    expect([isRevoked('lost'), isRevoked('instead'), restrictions.inForce.isFresh()]).toEqual([true, false, false]);
  }
  await vault.stop();
  const database = openRestrictions(file);
  renewEpoch(database);
  database.close();
  vault = await start();
  await allFresh();
  for (const { isRevoked } of gateways) expect([isRevoked('lost'), isRevoked('instead')]).toEqual([true, true]);
  expect(alarmed('has lost restrictions')).toBe(true);
});

test('a vault that was started anew says that a restriction is in force when it is, and not because it knows of nobody', async () => {
  await allFresh();
  for (let round = 0; round < 3; round++) {
    await vault?.stop();
    // Until the gateways pause between two attempts.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    vault = await start();
    const jti = `restart-${round}`;
    const { value } = await post(revocation(jti));
    const { value: told } = await ask<{ acknowledged: boolean }>(`/v1/restrictions/${value.sequence}/acknowledged?wait=10`);
    expect(told.acknowledged).toBe(true);
    expect(gateways.map(({ isRevoked }) => isRevoked(jti))).toEqual(gateways.map(() => true));
    await allFresh();
  }
}, 60_000);

test('a gateway that starts anew has everything in force before it is fresh, from its own copy or the feed', async () => {
  const [one] = gateways.splice(0, 1);
  await one?.stop();
  await post(revocation('meanwhile'));
  const again = await startGateway('one');
  gateways.unshift(again);
  expect(again.isRevoked('token-0')).toBe(true);
  expect(again.restrictions.inForce.isFresh()).toBe(false);
  await allFresh();
  expect(again.isRevoked('meanwhile')).toBe(true);
  const third = await startGateway('three');
  gateways.push(third);
  await allFresh();
  expect([third.isRevoked('token-0'), third.isRevoked('meanwhile')]).toEqual([true, true]);
});
