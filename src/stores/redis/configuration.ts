// Where the replicas' Redis is, and how it is known: over TLS, as a user with a password, with a secret of the fleet's own.

import { z } from 'zod';

const secretSource = z.union([z.strictObject({ file: z.string().min(1) }), z.strictObject({ environment: z.string().min(1) })], {
  error: 'must be {file: PATH} or {environment: NAME}: a secret never stands in this file',
});
const node = z.string().regex(/^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/, 'must be HOST:PORT');

/** User, password and options have keys of their own: in a URL they would stand in the file, and in messages. */
const REDIS_URL = /^(?:rediss?:\/\/(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?(?:\/\d{1,3})?|unix:\/.+)$/;

export const redisConfiguration = z
  .strictObject({
    url: z
      .string()
      .regex(REDIS_URL, 'must be rediss://HOST[:PORT][/DATABASE] without a user or a password, or unix:/PATH')
      .optional()
      .describe('one Redis: `rediss://HOST:PORT/DATABASE`, or `unix:/PATH`; exactly one of `url`, `sentinel` and `cluster`'),
    sentinel: z
      .strictObject({
        name: z.string().min(1).describe('the name of the primary that the Sentinels watch'),
        nodes: z.array(node).min(1).describe('the Sentinels, `HOST:PORT` each'),
        username: z.string().min(1).optional().describe("user of the Sentinels' own ACL, where they have one"),
        password: secretSource.optional().describe('its password: {file: PATH} with mode 0600, or {environment: NAME}'),
      })
      .optional()
      .describe('a primary and its replicas behind Sentinels'),
    cluster: z
      .strictObject({ nodes: z.array(node).min(1).describe('some of its nodes, `HOST:PORT` each') })
      .optional()
      .describe('a Redis Cluster'),
    username: z.string().min(1).optional().describe('the ACL user; its rule is in docs/redis.md'),
    password: secretSource.optional().describe('its password: {file: PATH} with mode 0600, or {environment: NAME}'),
    tls: z
      .strictObject({
        trustedCa: z.string().min(1).optional().describe("file with the CA certificates of Redis; the system's by default"),
        certificate: z.string().min(1).optional().describe("file with this replica's certificate chain, PEM, for mutual TLS"),
        key: z.string().min(1).optional().describe('file with its private key, PEM'),
        serverName: z.string().min(1).optional().describe("name that the nodes' certificates carry; each node's host by default"),
      })
      .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
        message: '`certificate` and `key` belong together',
      })
      .optional()
      .describe('TLS; with `sentinel` and `cluster` it must be there, if only as {}'),
    secret: secretSource.describe(
      'the secret of the fleet, 32 bytes or more and the same on every replica and the vault: whoever is inside Redis lacks it',
    ),
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be of letters, digits, `.`, `_` and `-`')
      .default('hermesbridge')
      .describe('first part of every key; another one for each fleet that shares a Redis'),
    commandTimeoutMillis: z.int().min(10).max(5000).default(150).describe('without an answer of Redis in this time: 503'),
    connectTimeoutMillis: z.int().min(50).max(10_000).default(1000).describe('longest time to connect, TLS included'),
    insecureLoopback: z
      .boolean()
      .default(false)
      .describe('allows a Redis of this machine, by loopback or Unix socket, without TLS and without a user'),
  })
  .superRefine((configuration, { addIssue }) => {
    const { url, sentinel, cluster, tls, username, password, insecureLoopback } = configuration;
    const refuse = (key: string, message: string) => addIssue({ code: 'custom', path: [key], message });
    if ([url, sentinel, cluster].filter((place) => place !== undefined).length !== 1)
      return refuse('url', 'needs exactly one of `url`, `sentinel` and `cluster`');
    if (insecureLoopback) {
      if (!addressesOf(configuration).every(isLoopback))
        refuse('insecureLoopback', 'is for addresses of this machine alone: use TLS and a user');
      return;
    }
    const encrypted = url === undefined ? tls !== undefined : url.startsWith('rediss://');
    if (!encrypted)
      refuse(url === undefined ? 'tls' : 'url', 'must use TLS: what the replicas share would be readable and writable by others');
    if (username === undefined || password === undefined)
      refuse(username === undefined ? 'username' : 'password', 'is required: Redis must ask for a user with a password');
  });
export type RedisConfiguration = z.infer<typeof redisConfiguration>;

/** Of the section, `HOST:PORT` each, or the URL of one Redis. */
export function addressesOf({ url, sentinel, cluster }: Pick<RedisConfiguration, 'url' | 'sentinel' | 'cluster'>): string[] {
  return [...(url === undefined ? [] : [url]), ...(sentinel?.nodes ?? []), ...(cluster?.nodes ?? [])];
}

function isLoopback(address: string): boolean {
  if (address.startsWith('unix:')) return true;
  const { hostname } = new URL(address.includes('://') ? address : `redis://${address}`);
  return isLoopbackHost(hostname.replace(/^\[|\]$/g, ''));
}

export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
