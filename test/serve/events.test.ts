// Security events as the vault starts with them: what its keys have revoked stays revoked, whatever becomes of its configuration.

import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { controlConfiguration } from '../../src/control/configuration.ts';
import { exportPrivateJwk } from '../../src/crypto/private-key.ts';
import { type RunningVault, startControl } from '../../src/serve/start-control.ts';
import { didKeyOf } from '../../src/vault/did-key.ts';
import { makeCertificates } from '../envoy/certificates.ts';
import { IdentityProvider } from '../events/identity-provider.ts';
import { keyOf } from '../keys.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-serve-events-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const file = (name: string, text: string, mode = 0o600) => {
  writeFileSync(join(directory, name), text, { mode });
  return join(directory, name);
};
const idp = await new IdentityProvider('https://idp.test').start();
const transmitter = { issuer: idp.issuer, audience: 'vault', jwks: { file: file('jwks.json', idp.jwks) } };

async function start(key: string | undefined, events: object | undefined): Promise<RunningVault> {
  const configuration = controlConfiguration.parse({
    service: { listen: '127.0.0.1:0' },
    origin: 'https://vault.test',
    operators: ['did:web:operator.test'],
    store: { file: join(directory, 'vault.db') },
    ...(key && { key: { file: file(`${key}.jwk`, JSON.stringify(exportPrivateJwk(keyOf(key)))) } }),
    ...(events && { events }),
  });
  return startControl(configuration, { log: pino({ level: 'silent' }), clock: Date.now });
}

async function administrators(key: string | undefined, events: object | undefined): Promise<readonly string[]> {
  const vault = await start(key, events);
  await vault.stop();
  return vault.vault.restrictions.administrators;
}

test('each key under which events were taken counts at the gateway beside it, and goes on to', async () => {
  const [one, two] = [didKeyOf(keyOf('one').publicKey), didKeyOf(keyOf('two').publicKey)];
  expect(await administrators('one', undefined)).toEqual([]);
  expect(existsSync(join(directory, 'vault.db-events'))).toBe(false);
  // One that only tells has revoked nothing.
  const receivers = [{ name: 'siem', url: 'https://siem.test/', audience: 'siem' }];
  expect(await administrators('one', { receivers })).toEqual([]);
  expect(await administrators('one', { transmitters: [transmitter] })).toEqual([one]);
  expect(await administrators('two', { transmitters: [transmitter] })).toEqual([one, two]);
  expect(await administrators('two', undefined)).toEqual([one, two]);
  expect(await administrators(undefined, undefined)).toEqual([one, two]);
});

test.each<[string, object, string]>([
  ['keys', { transmitters: [{ ...transmitter, jwks: { file: join(directory, 'none') } }] }, 'missing or no JWK Set'],
  ['no JWK Set', { transmitters: [{ ...transmitter, jwks: { file: file('x.json', '{"keys":1}') } }] }, 'missing or no JWK Set'],
  ['a token', { transmitters: [{ ...transmitter, token: { file: join(directory, 'none') } }] }, 'is missing or empty'],
  ['a token for all to read', { transmitters: [{ ...transmitter, token: { file: file('open', 'x', 0o644) } }] }, 'chmod 600'],
  ['a token of two lines', { transmitters: [{ ...transmitter, token: { file: file('two', 'a\r\nb') } }] }, 'visible ASCII'],
  ['an authority', { trustedCa: join(directory, 'none') }, 'cannot be read'],
])('%s that cannot be used is told of at the start, and the store is free again', async (_, events, message) => {
  await expect(start('one', events)).rejects.toThrow(message);
  await (await start('one', undefined)).stop();
});

test('keys are fetched over HTTPS from where the configuration says, when they are needed', async () => {
  const { trustedCaFile, server } = await makeCertificates(directory);
  let served = idp.jwks;
  let asked = 0;
  const tls = { cert: readFileSync(server.certificateFile), key: readFileSync(server.keyFile) };
  const host = createServer(tls, (_request, response) => {
    asked++;
    response.setHeader('content-type', 'application/json');
    response.end(served);
  });
  await once(host.listen(0, '127.0.0.1'), 'listening');
  const { port } = host.address() as AddressInfo;
  const url = `https://localhost:${port}/jwks`;
  const vault = await start('one', {
    transmitters: [{ ...transmitter, jwks: { url } }],
    allowedAddresses: ['127.0.0.0/8'],
    trustedCa: trustedCaFile,
  });
  const push = async (from: IdentityProvider) => {
    const body = await from.event({ subject: { format: 'did', url: 'did:web:agent.test' }, claims: { aud: 'vault' } });
    const headers = { 'content-type': 'application/secevent+jwt' };
    return (await fetch(`http://${vault.address}/v1/events`, { method: 'POST', headers, body })).status;
  };
  expect(asked).toBe(0);
  expect([await push(idp), await push(idp), asked]).toEqual([202, 202, 1]);
  const next = await new IdentityProvider(idp.issuer).start('key-2');
  served = next.jwks;
  // Half a minute after the last time, which this test does not wait for: until then to be sent again.
  expect([await push(next), asked]).toEqual([503, 1]);
  await vault.stop();
  host.close();
});

test('a reload does not change who is told and who tells', async () => {
  const vault = await start('one', { transmitters: [transmitter] });
  const changed = controlConfiguration.parse({
    service: { listen: '127.0.0.1:0' },
    origin: 'https://vault.test',
    operators: ['did:web:operator.test'],
    store: { file: join(directory, 'vault.db') },
    key: { file: join(directory, 'one.jwk') },
  });
  await expect(vault.reload(changed)).rejects.toThrow('control.events: changes only with a restart');
  await vault.stop();
});
