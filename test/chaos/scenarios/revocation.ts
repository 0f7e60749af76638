// Revocation while requests are under way, and a vault that says nothing any more.

import { AGENTS } from '../agents.ts';
import type { Scenario } from '../scenario.ts';
import { epochMillis } from '../traffic.ts';
import { STALE_SECONDS } from '../world.ts';

/** Between a statement of the vault and a check that relies on it, beyond the bound. */
const SLACK_MILLIS = 1500;

export const revocationScenarios: readonly Scenario[] = [
  {
    id: 'X31',
    title: 'agents revoked while their requests are under way',
    world: 'single',
    run: async (stage) => {
      const { world } = stage;
      const doomed = world.cast.agents.flatMap(({ name }) => (/^doomed/.test(name) && !world.revokedAt.has(name) ? [name] : []));
      if (doomed.length === 0) throw new Error('every agent has been revoked');
      await stage.before();
      const took: number[] = [];
      // Some are left for a run that is void.
      for (const name of doomed.slice(0, AGENTS.doomed / 3)) {
        stage.fault(`${name} is revoked`);
        took.push(await stage.world.revoke(name));
        await stage.pass(1);
      }
      stage.mended('all are in force');
      await stage.after(1000);
      await stage.pass(stage.seconds);
      await stage.settle();
      stage.target('in force on every replica, slowest', Math.max(...took), 1000, ' ms');
      const later = stage.sent.filter(({ agent, sentAt }) => sentAt > (world.revokedAt.get(agent) ?? Number.POSITIVE_INFINITY));
      const allowed = later.filter(({ status }) => status === 200).length;
      stage.must('nothing of them is allowed from then on', allowed === 0 && later.length > 0, `${allowed} of ${later.length}`);
    },
  },
  {
    id: 'X32',
    title: 'the vault killed for longer than what is known may be old',
    world: 'single',
    run: async (stage) => {
      const { vault } = stage.world;
      await stage.before();
      await vault.kill();
      stage.fault('the vault is killed');
      const from = epochMillis();
      const bound = from + STALE_SECONDS * 1000;
      await stage.pass(STALE_SECONDS + SLACK_MILLIS / 1000 + Math.min(4, stage.seconds));
      const to = epochMillis();
      stage.mustDenyAll('nothing is allowed beyond the bound', bound + SLACK_MILLIS, to);
      const { asked, served } = stage.served(from, bound - SLACK_MILLIS - 1000);
      stage.target('served from what is known before: not served', ((asked - served) / asked) * 100, 5, ' %');
      await vault.start();
      stage.mended('the vault is back');
      await stage.after(STALE_SECONDS * 1000);
      await stage.settle();
    },
  },
];
