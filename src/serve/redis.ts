// The replicas' Redis, opened: the secrets that its section refers to are read, whoever left it open is refused, and what becomes
// of the connection is logged.

import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { ConfigurationError } from '../config.ts';
import type { RedisCredentials } from '../stores/redis/client-options.ts';
import { addressesOf, type RedisConfiguration } from '../stores/redis/configuration.ts';
import { RedisConnection } from '../stores/redis/connection.ts';
import { FleetMac, FleetSecretError } from '../stores/redis/mac.ts';
import { refuseOpenRedis } from '../stores/redis/refuse-open-redis.ts';
import { readSecret } from './secret.ts';

export interface RedisSecrets {
  readonly credentials: RedisCredentials;
  /** The fleet's. */
  readonly secret: string;
}

/** @param section names it in errors: `verify.redis` @throws {SecretError}, or {ConfigurationError} for a file that cannot be read */
export async function readRedisSecrets(configuration: RedisConfiguration, section: string): Promise<RedisSecrets> {
  const { password, sentinel, tls } = configuration;
  const secret = await readSecret(configuration.secret, `${section}.secret`);
  try {
    new FleetMac(secret, 'test');
  } catch (error) {
    throw error instanceof FleetSecretError ? new ConfigurationError([`${section}.secret: ${error.message}`]) : error;
  }
  const text = async (name: 'trustedCa' | 'certificate') => {
    const file = tls?.[name];
    if (file === undefined) return {};
    const read = await readFile(file, 'utf8').catch(() => {
      throw new ConfigurationError([`${section}.tls.${name}: ${file} cannot be read`]);
    });
    return { [name]: read };
  };
  const credentials: RedisCredentials = {
    ...(password && { password: await readSecret(password, `${section}.password`) }),
    ...(sentinel?.password && { sentinelPassword: await readSecret(sentinel.password, `${section}.sentinel.password`) }),
    ...(await text('trustedCa')),
    ...(await text('certificate')),
    ...(tls?.key !== undefined && { key: await readSecret({ file: tls.key }, `${section}.tls.key`) }),
  };
  return { credentials, secret };
}

export interface OpenRedisSettings {
  readonly configuration: RedisConfiguration;
  readonly credentials: RedisCredentials;
  /** What the connection is for; shown in Redis's list of clients and in the log. */
  readonly name: string;
  readonly blockMillis?: number;
  readonly log: Logger;
  /** It is there again, or for the first time. */
  readonly onConnected?: () => void;
}

/** @throws {RedisError} when it cannot be reached, or lets in anyone */
export async function openRedis({ log, onConnected, blockMillis = 0, ...settings }: OpenRedisSettings): Promise<RedisConnection> {
  const redis = { redis: addressesOf(settings.configuration), connection: settings.name };
  await refuseOpenRedis(settings);
  return RedisConnection.open({
    ...settings,
    name: `hermesbridge-${settings.name}`,
    blockMillis,
    onState: (state, err) => {
      if (state === 'connected') log.info(redis, 'Redis is there');
      else if (state === 'slow') log.error(redis, 'Redis does not answer in time: every request is denied until it does');
      else log.error({ ...redis, err }, 'Redis is gone: every request is denied until it is back');
      if (state === 'connected') onConnected?.();
    },
  });
}
