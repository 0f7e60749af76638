// The kill switch of an identity provider, through the program as it is run: an account is disabled there, and the agent's next call
// is refused by the real Envoy. And a vault that is killed again and again tells its receivers of everything, in order.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { JSONWebKeySet } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { exportPrivateJwk } from '../../src/crypto/private-key.ts';
import { signRestriction } from '../../src/restrictions/sign-restriction.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { type Certificates, makeCertificates } from '../envoy/certificates.ts';
import { EventReceiver } from '../events/event-receiver.ts';
import { IdentityProvider } from '../events/identity-provider.ts';
import { keyOf } from '../keys.ts';
import { type Program, startProgram } from './program.ts';
import { type RegisteredWorld, startRegisteredWorld } from './registered-world.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One HTTPS request to a vault on this machine, under its own name. */
function ask(origin: string, ca: string, path: string, type?: string, body?: string, authorization?: string): Promise<Answer> {
  const { port, host } = new URL(origin);
  const headers = { host, ...(type && { 'content-type': type }), ...(authorization && { authorization }) };
  const options = { host: '127.0.0.1', port, path, method: body === undefined ? 'GET' : 'POST', ca, servername: 'service.test' };
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const jwksOf = async (origin: string, ca: string): Promise<JSONWebKeySet> => {
  const { jwks_uri } = JSON.parse((await ask(origin, ca, '/.well-known/ssf-configuration')).body) as { jwks_uri: string };
  return JSON.parse((await ask(origin, ca, new URL(jwks_uri).pathname)).body) as JSONWebKeySet;
};

describe('an identity provider', () => {
  const idp = new IdentityProvider('https://idp.test', 'vault');
  const subject = { format: 'iss_sub', iss: 'https://idp.test', sub: 'reader' };
  let world: RegisteredWorld;
  let siem: EventReceiver;
  beforeAll(async () => {
    await idp.start();
    world = await startRegisteredWorld({}, async (directory, certificates) => {
      siem = await new EventReceiver({
        certificates,
        jwks: () => jwksOf(world.vaultOrigin, world.trustedCa),
        get issuer() {
          return world.vaultOrigin;
        },
        audience: 'siem',
      }).start();
      await writeFile(join(directory, 'vault.jwk'), JSON.stringify(exportPrivateJwk(keyOf('vault'))), { mode: 0o600 });
      await writeFile(join(directory, 'idp.jwks'), idp.jwks);
      await writeFile(join(directory, 'idp.token'), 'agreed-upon', { mode: 0o600 });
      await writeFile(join(directory, 'siem.token'), 's3cret', { mode: 0o600 });
      return {
        key: { file: 'vault.jwk' },
        events: {
          allowedAddresses: ['127.0.0.0/8'],
          trustedCa: certificates.trustedCaFile,
          receivers: [
            { name: 'siem', url: `https://localhost:${siem.port}/events`, audience: 'siem', credential: { file: 'siem.token' } },
          ],
          transmitters: [
            { issuer: idp.issuer, audience: idp.audience, jwks: { file: 'idp.jwks' }, token: { file: 'idp.token' } },
          ],
        },
      };
    });
  });
  afterAll(async () => {
    await world?.stop();
    await siem?.stop();
  });

  const push = (event: string) =>
    ask(world.vaultOrigin, world.trustedCa, '/v1/events', 'application/secevent+jwt', event, 'Bearer agreed-upon');

  test('disables an account, and the agent is refused from the acknowledgement on', { timeout: 60_000 }, async () => {
    expect(await world.chat()).toMatchObject({ status: 200 });
    expect(await push(await idp.event({ subject }))).toMatchObject({ status: 202 });
    expect(await world.chat(), 'nobody here goes by that name').toMatchObject({ status: 200 });
    const started = performance.now();
    expect(await push(await idp.event({ subject: { format: 'did', url: world.agentDid } }))).toEqual({ status: 202, body: '' });
    expect(await world.chat()).toEqual({ status: 401, reason: 'revoked' });
    // A second, and more where the machine does other things at the same time.
    expect(performance.now() - started).toBeLessThan(5000);
    expect(world.gatewayLog()).toContain('security event accepted: revoked');
  });

  test('and a receiver is told of it, which verifies it under the keys that the vault names', { timeout: 60_000 }, async () => {
    while (siem.accepted.length + siem.faults.length === 0) await pause(50);
    expect(siem.faults).toEqual([]);
    expect(siem.accepted).toMatchObject([
      {
        authorization: 'Bearer s3cret',
        claims: {
          sub_id: { format: 'did', url: world.agentDid },
          events: {
            'https://schemas.openid.net/secevent/risc/event-type/account-disabled': {
              initiating_entity: 'policy',
              reason_admin: { en: 'account-disabled: told by https://idp.test' },
            },
          },
        },
      },
    ]);
  });
});

describe('a vault that is killed while it tells', () => {
  const KILLS = 8;
  const directory = mkdtempSync(join(tmpdir(), 'hb-events-kill-'));
  const administrator = keyOf('administrator');
  const did = didKeyOf(administrator.publicKey);
  let certificates: Certificates;
  let program: Program | undefined;
  afterAll(async () => {
    await program?.stop('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  test('leaves nothing out and turns nothing around, with a receiver that is down in between', { timeout: 180_000 }, async () => {
    certificates = await makeCertificates(directory);
    const [port, siemPort] = [await freePort(), await freePort()];
    const origin = `https://service.test:${port}`;
    const ca = readFileSync(certificates.trustedCaFile, 'utf8');
    await writeFile(join(directory, 'vault.jwk'), JSON.stringify(exportPrivateJwk(keyOf('vault'))), { mode: 0o600 });
    const file = join(directory, 'vault.yaml');
    const { certificateFile: certificate, keyFile: key } = certificates.server;
    const control = {
      service: { listen: `127.0.0.1:${port}`, tls: { certificate, key } },
      origin,
      operators: [did],
      administrators: [did],
      key: { file: 'vault.jwk' },
      events: {
        allowedAddresses: ['127.0.0.0/8'],
        trustedCa: certificates.trustedCaFile,
        receivers: [{ name: 'siem', url: `https://localhost:${siemPort}/`, audience: 'siem' }],
      },
    };
    await writeFile(file, stringify({ control }));
    const { publicKey } = keyOf('vault');
    const jwks = () => ({ keys: [{ ...publicKey.jwk, kid: publicKey.jkt }] }) as JSONWebKeySet;
    const receive = () => new EventReceiver({ certificates, jwks, issuer: origin, audience: 'siem', port: siemPort }).start();
    const told: unknown[] = [];
    const acknowledged: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      program = await startProgram('serve', file);
      const siem = kill % 3 === 1 ? undefined : await receive();
      for (let at = 0; at < 15; at++) {
        const id = randomBytes(16).toString('base64url');
        const restriction = signRestriction(
          { effect: 'revoke', target: { kind: 'session', value: id }, at: Math.floor(Date.now() / 1000), reason: 'r', id },
          { key: administrator, keyId: `${did}#${did.slice('did:key:'.length)}` },
        );
        const { status, body } = await ask(origin, ca, '/v1/restrictions', 'application/json', JSON.stringify({ restriction }));
        expect(status, body).toBe(201);
        acknowledged.push(id);
      }
      await pause(Math.random() * 30);
      expect((await program.stop('SIGKILL')).signal).toBe('SIGKILL');
      expect(siem?.faults ?? []).toEqual([]);
      told.push(...(siem?.accepted.map(({ claims }) => claims.txn) ?? []));
      await siem?.stop();
    }
    program = await startProgram('serve', file);
    const siem = await receive();
    while (siem.transactions.at(-1) !== acknowledged.at(-1)) await pause(50);
    told.push(...siem.transactions);
    await siem.stop();
    expect([...new Set(told)]).toEqual(acknowledged);
    // Each start may tell the last one again, and no more than that.
    expect(told.length).toBeLessThanOrEqual(acknowledged.length + KILLS + 1);
  });
});
