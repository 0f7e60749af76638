// The vault of a run: the program with the role `control`, which tells all replicas of what is revoked, over Redis.

import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { readPrivateKey } from '../../src/crypto/private-key.ts';
import { signRestriction } from '../../src/restrictions/sign-restriction.ts';
import type { Holder } from '../attacks/attacker.ts';
import type { Certificates } from '../envoy/certificates.ts';
import { runCommand } from './gateway.ts';

export interface RunVault {
  start(): Promise<void>;
  kill(): Promise<void>;
  stop(): Promise<void>;
  /** Resolves when every replica has it in force. @throws when that is not so after some seconds */
  revoke(agentDid: string): Promise<void>;
}

export interface RunVaultSettings {
  readonly directory: string;
  readonly certificates: Certificates;
  readonly redis: Readonly<Record<string, unknown>>;
  readonly operator: Holder;
}

const WAIT_SECONDS = 10;

export async function startVault({ directory, certificates, redis, operator }: RunVaultSettings): Promise<RunVault> {
  const port = await freePort();
  const origin = `https://localhost:${port}`;
  const { server, trustedCaFile } = certificates;
  const file = join(directory, 'vault.yaml');
  const control = {
    service: { listen: `127.0.0.1:${port}`, tls: { certificate: server.certificateFile, key: server.keyFile } },
    origin,
    operators: [operator.did],
    redis,
  };
  await writeFile(file, stringify({ control, log: { level: 'warn' } }));
  let running = await runCommand('serve', file);
  const ca = readFileSync(trustedCaFile);
  const key = readPrivateKey(JSON.stringify({ ...operator.key.export({ format: 'jwk' }), alg: 'Ed25519' }));

  const ask = (path: string, body?: object): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const asked = request(new URL(path, origin), { method: body ? 'POST' : 'GET', ca, headers, agent: false });
      asked.on('error', reject).on('response', async (answer) => {
        resolve({ status: answer.statusCode ?? 0, text: (await answer.toArray()).join('') });
      });
      asked.end(body && JSON.stringify(body));
    });
  return {
    start: async () => {
      running = await runCommand('serve', file);
    },
    kill: async () => {
      running.program.child.kill('SIGKILL');
      await running.program.stop();
    },
    stop: () => running.program.stop(),
    revoke: async (value) => {
      const at = Math.floor(Date.now() / 1000);
      const statement = { effect: 'revoke', target: { kind: 'agent', value }, at, reason: '' } as const;
      const posted = await ask('/v1/restrictions', { restriction: signRestriction(statement, { key, keyId: operator.kid }) });
      const { sequence } = JSON.parse(posted.text) as { sequence?: number };
      if (sequence === undefined) throw new Error(`not revoked: ${posted.status} ${posted.text}`);
      const { text } = await ask(`/v1/restrictions/${sequence}/acknowledged?wait=${WAIT_SECONDS}`);
      if (!(JSON.parse(text) as { acknowledged: boolean }).acknowledged) throw new Error(`not in force everywhere: ${text}`);
    },
  };
}
