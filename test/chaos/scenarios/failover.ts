// A primary that is replaced: with writes that nobody else has, and while a replica of the gateway goes on asking the old one.

import type { Scenario, Stage } from '../scenario.ts';
import { epochMillis } from '../traffic.ts';

const NEW_REQUESTS_MILLIS = 5000;
/** `min-replicas-max-lag` and the second in which Redis looks at it. */
const OLD_PRIMARY_MILLIS = 3500;

async function untilPromoted({ world }: Stage, former: number): Promise<number> {
  for (const end = epochMillis() + 30_000; epochMillis() < end; ) {
    const primary = await world.set?.primary();
    if (primary !== undefined && primary.port !== former) return primary.port;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('no other primary was made');
}

export const failoverScenarios: readonly Scenario[] = [
  {
    id: 'X5',
    title: 'a replica sees the old primary, the others the new one',
    world: 'sentinel',
    run: async (stage) => {
      const { primaryProxy, pinnedProxy, set } = stage.world;
      const former = await set?.primary();
      if (former === undefined || primaryProxy === undefined) throw new Error('there is no primary');
      await stage.before();
      primaryProxy.cut();
      stage.fault('the primary is cut off from all but the first replica');
      const cutAt = epochMillis();
      const promoted = await untilPromoted(stage, former.port);
      const promotedAt = epochMillis();
      stage.say('  another primary was made');
      await stage.pass(Math.max(5, stage.seconds));
      const to = epochMillis();
      const served = stage.between(promotedAt, to).find(({ status, target }) => status === 200 && target > 0);
      stage.target(
        'first allow by the new primary',
        served ? served.sentAt - promotedAt : Number.POSITIVE_INFINITY,
        NEW_REQUESTS_MILLIS,
        ' ms',
      );
      stage.mustDenyAll('the first replica denies, once the old primary refuses writes', cutAt + OLD_PRIMARY_MILLIS, to, 0);
      pinnedProxy?.lead(promoted);
      for (const { destroy } of pinnedProxy?.connections ?? []) destroy();
      primaryProxy.mend();
      stage.mended('it is one network again');
      await stage.after(5000);
      await stage.settle();
    },
  },
  {
    id: 'X3',
    title: 'failover that lost the newest writes',
    world: 'sentinel',
    run: async (stage) => {
      const { set, pinnedProxy } = stage.world;
      const former = await set?.primary();
      if (set === undefined || former === undefined) throw new Error('there is no primary');
      pinnedProxy?.lead(former.port);
      await stage.before();
      // What was not replicated when the primary went. The epochs, which are older, were.
      for (const node of set.nodes) {
        if (node === former || node.admin.status !== 'ready') continue;
        await node.admin.config('SET', 'replica-read-only', 'no');
        const keys = await node.admin.keys('*5:nonce*');
        for (let at = 0; at < keys.length; at += 500) await node.admin.del(...keys.slice(at, at + 500));
        await node.admin.config('SET', 'replica-read-only', 'yes');
      }
      await former.kill();
      stage.fault('the primary is killed, and its replicas lack every nonce');
      const killedAt = epochMillis();
      const promoted = await untilPromoted(stage, former.port);
      pinnedProxy?.lead(promoted);
      stage.mended('another primary takes writes');
      await stage.after(NEW_REQUESTS_MILLIS);
      await stage.pass(stage.seconds);
      await stage.settle();
      stage.mustDenyAll('nothing is allowed until there is a primary', killedAt, stage.mendedAt - 1000);
      await former.start();
    },
  },
];
