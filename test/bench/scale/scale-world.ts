// Two gateways side by side, each behind an Envoy of its own: one with all the restrictions and nonces, one with none; embedded, or
// with a Redis and a vault each.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from '../../../examples/quickstart/free-port.ts';
import { nonceEntry } from '../../../src/checks/nonce/check-nonce.ts';
import { readPrivateKey } from '../../../src/crypto/private-key.ts';
import { readRootForm } from '../../../src/token/capability-token.ts';
import { issueRootToken } from '../../../src/token/issue-root.ts';
import { didKeyOf } from '../../../src/vault/did-key.ts';
import { makeCertificates } from '../../envoy/certificates.ts';
import { startRedis, type TestRedis } from '../../stores/redis/redis-server.ts';
import { type BenchCredentials, CHAT_PATH, chatBody, DETAILS, GATEWAY_NAME, makeCredentials } from '../credentials.ts';
import { spawnServe } from '../hermesbridge.ts';
import { writeRestrictions } from '../made-restrictions.ts';
import { monotonic } from '../monotonic.ts';
import { type Gateway, type GatewaySettings, PATIENT_REDIS, startGateway, storeFile } from '../own-envoy.ts';
import { startProvider } from '../provider.ts';
import { signedRequest } from '../signed-request.ts';
import { openWirePool } from '../wire-pool.ts';
import { SIGNATURE, takeNonces, writeNonces } from './made-nonces.ts';

export interface Scale {
  readonly restrictions: number;
  readonly nonces: number;
}

export interface Side {
  readonly gateway: Gateway;
  readonly redis: TestRedis | undefined;
  /** Seconds from the start of the gateway to its first allowed request, with what it found in its files. */
  readonly startSeconds: number;
  /** Of a further replica; its store is empty. */
  another(name: string): GatewaySettings;
}

export interface ScaleWorld {
  readonly full: Side;
  readonly none: Side;
  readonly credentials: BenchCredentials;
  /** When the first nonce was made, on the machine's monotonic clock: they live for WINDOW_MILLIS at least. */
  readonly noncesSince: number;
  /** A request that is to be allowed. */
  chat(): Buffer;
  /** Holds that the restrictions and the nonces are in force at a gateway. @throws where they are not */
  holdInForce(gateway: Gateway): Promise<void>;
  stop(): Promise<void>;
}

export async function startScaleWorld(shared: boolean, scale: Scale, say: (line: string) => void): Promise<ScaleWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'hb-scale-'));
  const stops: (() => unknown)[] = [() => rm(directory, { recursive: true, force: true })];
  const stop = async () => {
    for (let last = stops.pop(); last !== undefined; last = stops.pop()) await last();
  };
  try {
    const credentials = await makeCredentials();
    const { operatorDid } = credentials;
    const agent = readPrivateKey(credentials.agentKey);
    const sign = (token: string) =>
      signedRequest({ path: CHAT_PATH, body: chatBody(1024) }, { key: agent, chain: [token] }, SIGNATURE.maxLifetimeSeconds);
    const chat = () => sign(credentials.capability);
    const revoked = await anotherToken(credentials);
    const replayed = chat();
    const nonce = /nonce="([^"]+)"/.exec(replayed.toString('latin1'))?.[1] ?? '';
    const jkt = agent.publicKey.jkt;
    const made = { count: scale.nonces, witness: { entry: nonceEntry(jkt, nonce), jkt } };
    const author = { key: credentials.operatorKey, keyId: credentials.operatorKeyId };
    const witness = readRootForm(revoked).untrustedClaims.jti;
    const restrict = (file: string) =>
      writeRestrictions(file, { count: scale.restrictions, operator: operatorDid, author, witness });
    const provider = await startProvider();
    stops.push(provider.stop);

    let noncesSince = 0;
    const startSide = async (name: 'full' | 'none'): Promise<Side> => {
      const own = join(directory, name);
      const redis = shared ? await startRedis() : undefined;
      if (redis) stops.push(redis.stop);
      const section = redis && { redis: { ...redis.section, ...PATIENT_REDIS }, replicas: 3 };
      const verify = { signature: SIGNATURE, ...(section ?? { restrictions: { feed: 'store' } }) };
      const settings = { operatorDid, providerPort: provider.port, verify, probe: true };
      const file = section === undefined ? storeFile(own) : join(own, 'vault', 'vault.db');
      await mkdir(dirname(file), { recursive: true });
      if (name === 'full') {
        say(`writing ${scale.restrictions} restrictions${shared ? '' : ` and ${scale.nonces} nonces`}`);
        restrict(`${file}-restrictions`);
        noncesSince = monotonic();
        if (!shared) writeNonces(file, made);
      }
      if (section !== undefined) stops.push(await startVault(dirname(file), file, operatorDid, section.redis));
      const startedAt = monotonic();
      const gateway = await startGateway({ directory: own, ...settings }, chat);
      stops.push(gateway.stop);
      const startSeconds = (monotonic() - startedAt) / 1000;
      if (name === 'full' && redis) {
        say(`taking ${scale.nonces} nonces in Redis`);
        noncesSince = monotonic();
        await takeNonces({ ...redis.section, commandTimeoutMillis: 5000 }, made);
      }
      return { gateway, redis, startSeconds, another: (other) => ({ directory: join(directory, other), ...settings }) };
    };
    const none = await startSide('none');
    const full = await startSide('full');
    const holdInForce = async (gateway: Gateway) => {
      const pool = await openWirePool(gateway.port, 1);
      for (const [what, request] of Object.entries({ revoked: sign(revoked), replayed })) {
        const { status } = await pool.send(request);
        if (status !== 401) throw new Error(`what is ${what} was answered with ${status}`);
      }
      pool.close();
    };
    return { full, none, credentials, noncesSince, chat, holdInForce, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Of the same agent; it is revoked. */
function anotherToken({ agentKey, operatorKey, operatorDid, operatorKeyId }: BenchCredentials): Promise<string> {
  const { publicKey } = readPrivateKey(agentKey);
  return issueRootToken({
    operatorKey,
    operator: operatorDid,
    operatorKeyId,
    agent: didKeyOf(publicKey),
    agentKey: publicKey,
    agentAlgorithm: 'Ed25519',
    audience: [GATEWAY_NAME],
    details: DETAILS,
    issuedAt: Math.floor(Date.now() / 1000),
    lifetimeSeconds: 86_400,
    maxDepth: 0,
  });
}

async function startVault(directory: string, file: string, operatorDid: string, redis: object): Promise<() => Promise<void>> {
  const { server } = await makeCertificates(directory);
  const port = await freePort();
  const control = {
    service: { listen: `127.0.0.1:${port}`, tls: { certificate: server.certificateFile, key: server.keyFile } },
    origin: `https://localhost:${port}`,
    operators: [operatorDid],
    store: { file },
    redis,
  };
  const { stop } = await spawnServe({ control, log: { level: 'warn' } }, { directory });
  return stop;
}
