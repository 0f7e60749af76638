// A vault and the gateways that take restrictions from it, each behind an Envoy of its own: one gateway in the vault's own process, or
// several that share a Redis. Agents have DIDs of their own keys, so that any number of them costs nothing.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../../examples/quickstart/free-port.ts';
import type { SigningCredentials } from '../../../src/sign/sign-request.ts';
import { makeCertificates } from '../../envoy/certificates.ts';
import { startRedis } from '../../stores/redis/redis-server.ts';
import { CHAT_PATH, chatBody, makeCredentials } from '../credentials.ts';
import { spawnServe } from '../hermesbridge.ts';
import { type Gateway, PATIENT_REDIS, startGateway } from '../own-envoy.ts';
import { startProvider } from '../provider.ts';
import { signedRequest } from '../signed-request.ts';
import { type ControlApi, openControlApi } from './control-api.ts';
import { rootOf } from './targets.ts';

export interface RevokeWorld {
  readonly gateways: readonly Gateway[];
  /** Of the agent whom nobody revokes. */
  readonly root: SigningCredentials;
  /** The same for another thread: a private JWK as JSON. */
  readonly rootKey: string;
  readonly api: ControlApi;
  /** What the programs wrote, the end of it. */
  log(): string;
  stop(): Promise<void>;
}

const DEEPEST = 3;

/** @param replicas that share a Redis; 0 for one gateway in the vault's own process, without any */
export async function startRevokeWorld(replicas: number): Promise<RevokeWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'hb-revoke-'));
  const stops: (() => unknown)[] = [() => rm(directory, { recursive: true, force: true })];
  const stop = async () => {
    for (let last = stops.pop(); last !== undefined; last = stops.pop()) await last();
  };
  try {
    const credentials = await makeCredentials(DEEPEST);
    const { operatorDid, operatorKey: key, operatorKeyId: keyId } = credentials;
    const root = rootOf(credentials);
    const chat = () => signedRequest({ path: CHAT_PATH, body: chatBody(1024) }, root, 60);
    const provider = await startProvider();
    stops.push(provider.stop);
    const { trustedCaFile, server } = await makeCertificates(directory);
    const [port, vault] = [await freePort(), join(directory, 'vault')];
    const origin = `https://localhost:${port}`;
    const redis = replicas > 0 ? await startRedis() : undefined;
    if (redis) stops.push(redis.stop);
    const shared = redis && { redis: { ...redis.section, ...PATIENT_REDIS } };
    const control = {
      service: { listen: `127.0.0.1:${port}`, tls: { certificate: server.certificateFile, key: server.keyFile } },
      origin,
      operators: [operatorDid],
      store: { file: join(vault, 'vault.db') },
      ...shared,
    };
    const logs: (() => string)[] = [];
    if (shared !== undefined) {
      await mkdir(vault);
      const program = await spawnServe({ control, log: { level: 'warn' } }, { directory: vault });
      stops.push(program.stop);
      logs.push(program.log);
    }
    const gateways = [];
    for (let at = 0; at < Math.max(1, replicas); at++) {
      const settings = { directory: join(directory, `gateway-${at}`), operatorDid, providerPort: provider.port };
      const role = shared === undefined ? { control } : { verify: { ...shared, replicas } };
      const gateway = await startGateway({ ...settings, ...role }, chat);
      stops.push(gateway.stop);
      logs.push(gateway.log);
      gateways.push(gateway);
    }
    const api = openControlApi(origin, trustedCaFile, { key, keyId });
    stops.push(api.close);
    const log = () => logs.map((read) => read().slice(-2000)).join('\n');
    return { gateways, root, rootKey: credentials.agentKey, api, log, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
