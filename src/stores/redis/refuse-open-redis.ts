// A Redis that lets in whoever reaches it is refused, whatever user this program has there: others would be inside with it.

import { makeClient, type RedisCredentials } from './client-options.ts';
import type { RedisConfiguration } from './configuration.ts';
import { RedisError } from './connection.ts';
import { redisKey } from './keys.ts';

export interface OpenRedisProbe {
  readonly configuration: RedisConfiguration;
  readonly credentials: RedisCredentials;
}

/** Resolves too where nothing answers: whoever connects next finds that out. @throws {RedisError} */
export async function refuseOpenRedis({ configuration, credentials }: OpenRedisProbe): Promise<void> {
  if (configuration.insecureLoopback) return;
  const client = makeClient({ configuration, credentials, name: 'hermesbridge-stranger', blockMillis: 0, anonymous: true });
  try {
    // More than once, since it tries again: an error that nobody hears is written to the terminal by ioredis.
    const refused = new Promise<'refused'>((resolve) => client.on('error', () => resolve('refused')));
    const silent = new Promise<'refused'>((resolve) => {
      setTimeout(() => resolve('refused'), configuration.connectTimeoutMillis).unref();
    });
    const read = client.connect().then(
      () => client.get(redisKey(configuration.prefix, 'stranger')).then(() => 'read' as const),
      () => 'refused' as const,
    );
    const outcome = await Promise.race([read.catch(() => 'refused' as const), refused, silent]);
    if (outcome === 'read')
      throw new RedisError(
        'Redis answers who has no password: disable its default user (ACL SETUSER default off) or give it a password',
      );
  } finally {
    client.disconnect();
  }
}
