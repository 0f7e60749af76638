// The configuration file: every folder's schema, joined. Unknown keys are refused, every problem is reported at once and
// with its line, and a secret is never in the file itself.

import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import { isNode, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { providersConfiguration } from './checks/capability/provider-routes.ts';
import { chainConfiguration } from './checks/chain/check-chain.ts';
import { nonceConfiguration } from './checks/nonce/check-nonce.ts';
import { signatureConfiguration } from './checks/signature/signature-input.ts';
import { controlConfiguration } from './control/configuration.ts';
import { envoyConfiguration } from './envoy/envoy-configuration.ts';
import { serviceConfiguration } from './ext-authz/grpc-server.ts';
import { restrictionsConfiguration } from './restrictions/configuration.ts';
import { signerConfiguration } from './sign/configuration.ts';
import { redisConfiguration } from './stores/redis/configuration.ts';
import { storeConfiguration } from './stores/sqlite/configuration.ts';
import { trustConfiguration } from './trust/operators.ts';
import { resolutionConfiguration } from './vault/configuration.ts';

const maxRequestBytes = z
  .int()
  .min(1024)
  .max(64 * 1024 * 1024)
  .default(4 * 1024 * 1024)
  .describe(
    "largest request body; Envoy's and gRPC's limits both follow from it. Envoy holds that much for each request in flight",
  );

const verify = z
  .strictObject({
    service: serviceConfiguration.prefault({ listen: 'unix:run/verify.sock' }).describe('the gRPC service that Envoy asks'),
    gateway: z.strictObject({
      names: z.array(z.string().min(1)).min(1).describe("this gateway's names: one of them must be in a capability's `aud`"),
      authorities: z
        .array(z.string().min(1))
        .optional()
        .describe('hosts, with their port if not the default one, that requests are sent to; `names` by default'),
    }),
    trust: trustConfiguration,
    resolution: resolutionConfiguration.prefault({}).describe('how DID documents are found'),
    providers: providersConfiguration,
    signature: signatureConfiguration.prefault({}),
    chain: chainConfiguration.prefault({}),
    nonce: nonceConfiguration.prefault({}),
    restrictions: restrictionsConfiguration.prefault({}).describe('what was revoked or narrowed'),
    store: storeConfiguration.prefault({}),
    replicas: z
      .int()
      .min(1)
      .default(1)
      .describe('gateways that share their agents; more than one need `redis`, so that what one allowed no other allows again'),
    redis: redisConfiguration.optional().describe('where replicas keep their nonces, each in its place: see docs/redis.md'),
    maxRequestBytes,
    envoy: envoyConfiguration('0.0.0.0:8443').prefault({}),
  })
  .refine(({ replicas, redis }) => replicas === 1 || redis !== undefined, {
    path: ['replicas'],
    message: 'needs `redis`: two replicas that do not share their nonces would each allow the same request',
  });

const sign = z.strictObject({
  service: serviceConfiguration.prefault({ listen: 'unix:run/sign.sock' }).describe('the gRPC service that Envoy asks'),
  ...signerConfiguration.shape,
  maxRequestBytes,
  envoy: envoyConfiguration('127.0.0.1:4180').omit({ tls: true }).prefault({}),
});

export const configurationSchema = z
  .strictObject({
    verify: verify.optional().describe('the role of the gateway'),
    sign: sign.optional().describe("the role of the agent's sidecar"),
    control: controlConfiguration.optional().describe('the role of the vault'),
    log: z
      .strictObject({
        level: z
          .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
          .default('info')
          .describe('least severe messages that are logged'),
      })
      .prefault({}),
  })
  .refine(
    ({ verify, sign, control }) => (verify ?? sign ?? control) !== undefined,
    'needs a role: `verify`, `sign`, `control`, or several',
  );

export type Configuration = z.infer<typeof configurationSchema>;
export type VerifyConfiguration = NonNullable<Configuration['verify']>;
export type ControlConfiguration = NonNullable<Configuration['control']>;
export type SignConfiguration = NonNullable<Configuration['sign']>;

export interface LoadedConfiguration {
  readonly file: string;
  readonly configuration: Configuration;
}

/** Every problem of a file, a line each: `FILE:LINE: KEY: what is wrong`. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** @throws {ConfigurationError} with all problems at once. */
export async function loadConfiguration(file: string): Promise<LoadedConfiguration> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    throw new ConfigurationError([`${file}: cannot be read; name the configuration with --config FILE or HERMESBRIDGE_CONFIG`]);
  }
  const configuration = parseConfiguration(text, file);
  return { file, configuration: resolvePaths(configuration, dirname(resolve(file))) };
}

/** @throws {ConfigurationError} with all problems at once. */
export function parseConfiguration(text: string, file: string): Configuration {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, strict: true, uniqueKeys: true });
  if (document.errors.length > 0) {
    throw new ConfigurationError(
      document.errors.map(({ pos, message }) => `${file}:${lines.linePos(pos[0]).line}: ${message.split('\n')[0]}`),
    );
  }
  const result = configurationSchema.safeParse(document.toJS() ?? {});
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => {
    if (issue.code !== 'unrecognized_keys') return [problem(issue.path, issue.message)];
    return issue.keys.map((key) => problem([...issue.path, key], 'is not a known key'));
  });
  throw new ConfigurationError(problems);

  function problem(path: readonly PropertyKey[], message: string): string {
    return `${file}:${lineOf(path)}: ${path.map(String).join('.') || 'the file'}: ${message}`;
  }

  /** Of the key, or of the nearest key above it that stands in the file. */
  function lineOf(path: readonly PropertyKey[]): number {
    for (let length = path.length; length > 0; length--) {
      const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
      const pairs = isNode(parent) && 'items' in parent ? parent.items : [];
      for (const pair of pairs as readonly unknown[]) {
        const key = typeof pair === 'object' && pair !== null && 'key' in pair ? pair.key : undefined;
        if (isNode(key) && 'value' in key && key.value === path[length - 1] && key.range) return lines.linePos(key.range[0]).line;
      }
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  }
}

/** Paths in the file are relative to the file, so that it means the same wherever the program is started. */
function resolvePaths(configuration: Configuration, base: string): Configuration {
  const path = (value: string) => (isAbsolute(value) ? value : resolve(base, value));
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') {
      if (key === 'listen' && value.startsWith('unix:')) return `unix:${path(value.slice(5))}`;
      return PATH_KEYS.has(key) ? path(value) : value;
    }
    // Names of the user's own choice: one may be spelled like a key.
    if (key === 'aliases' || key === 'tasks' || key === 'taskPorts') return value;
    if (Array.isArray(value)) return value.map((element) => walk(element, ''));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, walk(member, name)]));
  };
  const resolved = walk(configuration, '') as Configuration;
  for (const [role, section] of [
    ['verify', resolved.verify],
    ['sign', resolved.sign],
  ] as const) {
    if (section) section.envoy.directory ??= resolve(base, 'run', `${role}-envoy`);
  }
  return resolved;
}

const PATH_KEYS = new Set([
  'file',
  'certificate',
  'key',
  'clientCa',
  'envoyCertificate',
  'envoyKey',
  'trustedCa',
  'gatewayCa',
  'directory',
  'socket',
]);
