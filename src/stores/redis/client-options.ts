// The configuration in ioredis's words. Nothing is queued while there is no connection, and nothing is sent twice: whoever waits
// for an answer of Redis denies meanwhile.

import type { ConnectionOptions } from 'node:tls';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { isLoopbackHost, type RedisConfiguration } from './configuration.ts';

/** What the configuration refers to, read. */
export interface RedisCredentials {
  readonly password?: string;
  readonly sentinelPassword?: string;
  /** PEM. */
  readonly trustedCa?: string;
  readonly certificate?: string;
  readonly key?: string;
}

export type RedisClient = Redis | Cluster;

/** Longest pause in milliseconds between two attempts to connect. */
const MOST_RETRY_MILLIS = 250;
const retry = (times: number) => Math.min(25 * times, MOST_RETRY_MILLIS);

export interface ClientSettings {
  readonly configuration: RedisConfiguration;
  readonly credentials: RedisCredentials;
  /** Shown in Redis's list of clients. */
  readonly name: string;
  /** Milliseconds that a command may block in Redis; 0 for a connection without such commands. */
  readonly blockMillis: number;
  /** Without a user, to learn whether Redis lets in anyone. */
  readonly anonymous?: boolean;
}

/** Not connected yet. */
export function makeClient(settings: ClientSettings): RedisClient {
  const { configuration } = settings;
  const { url, sentinel, cluster } = configuration;
  const options = clientOptions(settings);
  if (cluster !== undefined) {
    const { retryStrategy: _, enableOfflineQueue: __, maxRetriesPerRequest: ___, ...redisOptions } = options;
    return new Cluster(cluster.nodes.map(hostAndPort), {
      redisOptions,
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: retry,
      clusterNodeRetryStrategy: retry,
      slotsRefreshInterval: 1000,
      // A name that is looked up here would no longer be the one in the node's certificate.
      dnsLookup: (address, callback) => callback(null, address),
      ...stayOnLoopback(configuration),
    });
  }
  if (sentinel !== undefined) {
    const { sentinelPassword } = settings.credentials;
    return new Redis({
      ...options,
      name: sentinel.name,
      sentinels: sentinel.nodes.map(hostAndPort),
      sentinelRetryStrategy: retry,
      // One that takes connections and never answers: the next one is asked.
      sentinelCommandTimeout: configuration.connectTimeoutMillis,
      failoverDetector: true,
      ...(sentinel.username !== undefined && { sentinelUsername: sentinel.username }),
      ...(sentinelPassword !== undefined && { sentinelPassword }),
      ...(options.tls && { sentinelTLS: options.tls, enableTLSForSentinelMode: true }),
      ...stayOnLoopback(configuration),
    });
  }
  if (url?.startsWith('unix:')) return new Redis({ ...options, path: url.slice(5) });
  const { hostname, port, pathname } = new URL(url ?? '');
  return new Redis({ ...options, ...hostAndPort(`${hostname}:${port || 6379}`), db: Number(pathname.slice(1)) });
}

function clientOptions({ configuration, credentials, name, blockMillis, anonymous = false }: ClientSettings) {
  const tls = tlsOptions(configuration, credentials);
  return {
    lazyConnect: true,
    connectionName: name,
    disableClientInfo: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: retry,
    connectTimeout: configuration.connectTimeoutMillis,
    // A connection over which nothing comes any more is replaced, so that Redis is found again wherever it is.
    socketTimeout: configuration.connectTimeoutMillis + blockMillis,
    keepAlive: 5000,
    // A primary that became a replica: the connection is made anew, to whatever is the primary now.
    reconnectOnError: ({ message }: Error) => message.startsWith('READONLY'),
    ...(!anonymous && configuration.username !== undefined && { username: configuration.username }),
    ...(!anonymous && credentials.password !== undefined && { password: credentials.password }),
    ...(tls && { tls }),
  } satisfies RedisOptions;
}

function tlsOptions(
  { url, tls }: RedisConfiguration,
  { trustedCa, certificate, key }: RedisCredentials,
): ConnectionOptions | undefined {
  if (tls === undefined && !url?.startsWith('rediss://')) return undefined;
  return {
    // Said, so that no variable of the environment says otherwise.
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(trustedCa !== undefined && { ca: trustedCa }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
    ...(tls?.serverName !== undefined && { servername: tls.serverName }),
  };
}

/** Sentinels and clusters name further nodes: without TLS, one of another machine is not gone to. */
function stayOnLoopback({ insecureLoopback }: RedisConfiguration) {
  if (!insecureLoopback) return {};
  return {
    natMap: (address: string) => {
      const { host, port } = hostAndPort(address);
      return { host: isLoopbackHost(host) ? host : '127.0.0.1', port };
    },
  };
}

function hostAndPort(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}
