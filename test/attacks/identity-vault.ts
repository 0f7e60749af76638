// Writes to a vault and what is signed by the keys that it registers.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { controlConfiguration } from '../../src/control/configuration.ts';
import { startControl } from '../../src/control/start-control.ts';
import type { PrivateKey } from '../../src/crypto/private-key.ts';
import { SqliteVaultStore } from '../../src/stores/sqlite/vault/vault-store.ts';
import { LogVerifier } from '../../src/vault/webvh/log-verifier.ts';
import { bodyOf, type Operator, type WrittenLog } from '../control/operator.ts';
import { type Holder, newHolder } from './attacker.ts';
import { OWN } from './own-site.ts';

/** The agent of this DID, with this Ed25519 key. */
export function keyed({ keyObject, publicKey }: PrivateKey, did: string): Holder {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: publicKey.jwk.x ?? '', alg: 'Ed25519' };
  return { ...newHolder(), key: keyObject, jwk, jkt: publicKey.jkt, did };
}

/** Signs roots as an operator of a vault. */
export function issuerOf(operator: Operator, key = operator.key, keyid = operator.keyid): Holder {
  return { ...newHolder(), key: key.keyObject, did: operator.did, kid: keyid };
}

/** How a vault is reached: over TLS where its certificate is given. */
export interface VaultAddress {
  readonly host: string;
  readonly port: number;
  readonly certificate?: string;
}

/** A signed write; its status and body. */
export function writeTo(
  { host, port, certificate }: VaultAddress,
  operator: Operator,
  path: string,
  log: WrittenLog,
  changes: Parameters<Operator['sign']>[2] = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const body = bodyOf(log);
  const authority = certificate === undefined ? {} : { authority: `${OWN.name}:${port}` };
  const headers = operator.sign(path, body, { ...authority, ...changes });
  const options = { host, port, path, method: 'POST', headers, setHost: false };
  return new Promise((resolve, reject) => {
    const sent =
      certificate === undefined ? httpRequest(options) : httpsRequest({ ...options, ca: certificate, servername: OWN.name });
    sent.on('response', async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
    });
    sent.on('error', reject).end(body);
  });
}

export function versionsOf(kind: 'agents' | 'operators', { did }: WrittenLog): string {
  return `/v1/${kind}/${encodeURIComponent(did)}/versions`;
}

export interface SeparateVault {
  readonly origin: string;
  readonly address: VaultAddress;
  /** Its host and port as a DID spells them. */
  readonly spelled: string;
  serve(operators: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

/** A vault that is in no gateway's process, under the name of this machine. */
export async function makeSeparateVault(tls: { readonly cert: string; readonly key: string }): Promise<SeparateVault> {
  const directory = mkdtempSync(join(tmpdir(), 'hb-vault-'));
  const [certificate, key] = [join(directory, 'vault.crt'), join(directory, 'vault.key')];
  writeFileSync(certificate, tls.cert);
  writeFileSync(key, tls.key, { mode: 0o600 });
  const port = await freePort();
  const origin = `https://${OWN.name}:${port}`;
  let end = async () => {};
  return {
    origin,
    address: { host: OWN.addresses[0], port, certificate: tls.cert },
    spelled: `${OWN.name}%3A${port}`,
    serve: async (operators) => {
      const store = await SqliteVaultStore.open({ file: join(directory, 'vault.db') });
      const verifier = LogVerifier.start();
      const service = { listen: `${OWN.addresses[0]}:${port}`, tls: { certificate, key } };
      const configuration = controlConfiguration.parse({ service, origin, operators });
      const log = pino({ level: 'silent' });
      const control = await startControl({ configuration, store, verifier, clock: Date.now, log });
      end = async () => {
        await control.stop();
        await verifier.close();
        await store.close();
      };
    },
    stop: async () => {
      await end();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
