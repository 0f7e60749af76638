// A Redis that starts again from a snapshot: the epochs are there, some nonces are not.

import { expect, test } from 'vitest';
import { redisVersion, startRedis, withRedis } from './redis-server.ts';
import { serves, settled, startReplica, until, use } from './replica.ts';

test.skipIf(redisVersion === undefined)(
  `what was taken after the snapshot is not taken again, not even by who never heard of it${withRedis}`,
  { timeout: 60_000 },
  async () => {
    const redis = await startRedis({ lines: ['save 3600 1', 'dbfilename dump.rdb'] });
    const a = await startReplica(redis.section);
    await settled(a);
    await redis.admin.save();
    const uses = Array.from({ length: 100 }, () => use());
    for (const each of uses) expect(await a.store.consume(each)).toBe('first');
    // It starts after the nonces were told of, and knows the epochs.
    const b = await startReplica(redis.section);
    try {
      await serves(b);
      await redis.kill();
      await redis.start();
      const verdicts = new Set<unknown>();
      const replay = async () => {
        const all = uses.map((each) => Promise.resolve(b.store.consume({ ...each, streamId: 'x' })).catch(() => 'none'));
        for (const verdict of await Promise.all(all)) verdicts.add(verdict);
      };
      await until(async () => {
        await replay();
        return verdicts.has('forgotten');
      });
      await settled(a, b);
      await replay();
      expect(verdicts).not.toContain('first');
      expect((await redis.admin.keys('*5:epoch')).length).toBe(64);
    } finally {
      await b.stop();
      await a.stop();
      await redis.stop();
    }
  },
);
