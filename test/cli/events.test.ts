// `events send-test`, against a receiver that verifies what it gets.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JSONWebKeySet } from 'jose';
import { afterAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { exportPrivateJwk } from '../../src/crypto/private-key.ts';
import { makeCertificates } from '../envoy/certificates.ts';
import { EventReceiver } from '../events/event-receiver.ts';
import { keyOf } from '../keys.ts';
import { hb, hbJson } from './run-cli.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-cli-events-'));
const certificates = await makeCertificates(directory);
const { publicKey } = keyOf('vault');
const jwks = () => ({ keys: [{ ...publicKey.jwk, kid: publicKey.jkt }] }) as JSONWebKeySet;
const siem = await new EventReceiver({ certificates, jwks, issuer: 'https://vault.test', audience: 'siem' }).start();
afterAll(async () => {
  await siem.stop();
  rmSync(directory, { recursive: true, force: true });
});

const write = (name: string, text: string) => {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
};
write('vault.jwk', JSON.stringify(exportPrivateJwk(keyOf('vault'))));
write('siem.token', 's3cret');
const receiver = { url: `https://localhost:${siem.port}/`, audience: 'siem', credential: { file: 'siem.token' } };
const config = write(
  'vault.yaml',
  stringify({
    control: {
      origin: 'https://vault.test',
      operators: ['did:web:operator.test'],
      key: { file: 'vault.jwk' },
      events: {
        allowedAddresses: ['127.0.0.0/8', '::1/128'],
        trustedCa: 'ca.crt',
        receivers: [
          { ...receiver, name: 'siem' },
          { ...receiver, name: 'other', audience: 'other' },
        ],
      },
    },
  }),
);

test('a receiver gets a verification event, and what it says is said', { timeout: 60_000 }, async () => {
  const { code, value } = await hbJson(['events', 'send-test', '--config', config, '--receiver', 'siem']);
  expect(code).toBe(0);
  expect(siem.accepted).toMatchObject([
    {
      authorization: 'Bearer s3cret',
      claims: {
        jti: value.jti,
        sub_id: { format: 'opaque', id: 'siem' },
        events: { 'https://schemas.openid.net/secevent/ssf/event-type/verification': { state: value.state } },
      },
    },
  ]);
  const refused = await hb(['events', 'send-test', '--config', config, '--receiver', 'other']);
  expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('answered 400 where 202 is needed') });
  expect(refused.stderr).toContain('invalid_request');
  const unknown = await hb(['events', 'send-test', '--config', config, '--receiver', 'nobody']);
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('has no receiver "nobody"') });
});

test('config check looks at what is named', { timeout: 60_000 }, async () => {
  expect(await hb(['config', 'check', '--config', config])).toMatchObject({ code: 0 });
  rmSync(join(directory, 'siem.token'));
  const { code, stderr } = await hb(['config', 'check', '--config', config]);
  expect([code, stderr]).toEqual([1, expect.stringContaining('control.events.receivers[0].credential')]);
});
