// A reload that a part of the configuration does not bear is refused as a whole, whatever the other parts are.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { ConfigurationError, loadConfiguration } from '../../src/config.ts';
import { exportPrivateJwk } from '../../src/crypto/private-key.ts';
import { startService } from '../../src/serve/serve.ts';
import { attempt, mintRoot, newHolder, toWire } from '../attacks/attacker.ts';
import { encodeCheck, ruling } from '../attacks/gate.ts';
import { keyOf } from '../keys.ts';
import { rootOf } from '../sign/held.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-reload-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string) => join(directory, name);
const [operator, other, agent] = [newHolder(), newHolder(), newHolder()];

interface Written {
  readonly trusted?: string;
  readonly secret?: string;
  readonly level?: string;
  readonly roles?: 'verify' | 'both';
}

function write({ trusted = operator.did, secret = 'local.secret', level = 'silent', roles = 'both' }: Written): void {
  const sign = `sign:
  key: { file: agent.jwk }
  capability: { file: agent.capability }
  localSecret: { file: ${secret} }
  gateway: https://gateway.example
`;
  writeFileSync(
    at('both.yaml'),
    `verify:
  gateway: { names: [gateway.local] }
  trust: { operators: [{ did: '${trusted}', vouchesForAgents: true }] }
  providers: { openai: { api: openai, credential: { environment: KEY } } }
log: { level: ${level === 'silent' ? 'fatal' : level} }
${roles === 'both' ? sign : ''}`,
  );
}

test('what is right for one role is not taken up when another cannot take up its part, and all that is wrong is said', async () => {
  writeFileSync(at('agent.jwk'), JSON.stringify(exportPrivateJwk(keyOf('agent'))), { mode: 0o600 });
  writeFileSync(at('local.secret'), 'secret', { mode: 0o600 });
  writeFileSync(at('agent.capability'), (await rootOf()).chain.join('\n'));
  write({});
  const { configuration } = await loadConfiguration(at('both.yaml'));
  // The capability of the test is of another time.
  const settings = { log: pino({ level: 'silent' }), clock: Date.now };
  const service = await startService(at('both.yaml'), configuration, settings);
  const [gateway] = service.roles;
  const client = new Client(gateway?.address ?? '', credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  const judged = async (by: typeof operator) => {
    const bytes = encodeCheck(toWire(attempt(agent, mintRoot(by, agent))));
    const reply = await new Promise<Buffer>((resolve, reject) =>
      client.makeUnaryRequest('/envoy.service.auth.v3.Authorization/Check', same, same, bytes, (error, value) =>
        error || !value ? reject(error) : resolve(value),
      ),
    );
    return ruling(reply).reason ?? 'allowed';
  };
  const problemsOf = async (written: Written) => {
    write(written);
    const error = await service.reload().catch((reason: unknown) => reason);
    return error instanceof ConfigurationError ? error.problems : [];
  };
  try {
    expect([await judged(operator), await judged(other)]).toEqual([
      expect.not.stringContaining('chain-invalid'),
      'chain-invalid',
    ]);
    const before = await judged(operator);
    expect(await problemsOf({ trusted: other.did, secret: 'missing', level: 'debug' })).toEqual([
      expect.stringContaining('log.level'),
      expect.stringContaining('sign.localSecret'),
    ]);
    expect([await judged(operator), await judged(other)]).toEqual([before, 'chain-invalid']);
    expect(await problemsOf({ roles: 'verify' })).toEqual([expect.stringContaining('sign: a role ends only with a restart')]);
    expect(await problemsOf({ trusted: other.did })).toEqual([]);
    expect([await judged(operator), await judged(other)]).toEqual(['chain-invalid', before]);
  } finally {
    client.close();
    await service.stop();
  }
});
