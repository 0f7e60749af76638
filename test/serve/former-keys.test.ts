// The keys that an operator had, for restrictions that it signed with them: not out of a log that ends before what was seen.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { generatePrivateKey } from '../../src/crypto/private-key.ts';
import { type LocalVault, startResolution } from '../../src/serve/resolution.ts';
import { resolutionConfiguration } from '../../src/vault/configuration.ts';
import { UnknownDid } from '../../src/vault/did-document.ts';
import { Operator, ORIGIN } from '../control/operator.ts';

test('a log that was cut back does not bring back a key that was rotated out', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hb-former-'));
  const acme = new Operator('acme');
  const { publicKey } = generatePrivateKey('Ed25519');
  const rotated = acme.next(acme.log, {
    state: (state) => ({
      ...state,
      verificationMethod: [{ id: `${acme.did}#key-2`, type: 'JsonWebKey', controller: acme.did, publicKeyJwk: publicKey.jwk }],
      capabilityInvocation: [`${acme.did}#key-2`],
      assertionMethod: [`${acme.did}#key-2`],
    }),
  });
  let { lines } = rotated;
  const store = {
    readLog: () => ({ log: lines.map((line) => `${line}\n`).join(''), witness: undefined }),
    subscribe: () => () => {},
  };
  const resolution = await startResolution({
    configuration: resolutionConfiguration.parse({}),
    seenFile: join(directory, 'logs'),
    localVault: { origin: ORIGIN, store } as unknown as LocalVault,
    log: pino({ level: 'silent' }),
    clock: Date.now,
  });
  try {
    const document = await resolution.resolver.current(acme.did);
    const [first] = await resolution.formerKeys(document);
    expect(first?.until).toBeLessThan(Number.POSITIVE_INFINITY);
    lines = rotated.lines.slice(0, 1);
    await expect(resolution.formerKeys(document)).rejects.toThrow(UnknownDid);
  } finally {
    await resolution.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});
