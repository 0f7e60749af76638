// A replica whose clock is wrong. Clients, the other replicas and Redis have the true time.

import type { Scenario, Stage } from '../scenario.ts';
import { epochMillis } from '../traffic.ts';

const WRONG = 2;
/** Until Redis's clock is looked at again. */
const SEEN_MILLIS = 4000;

/** @returns when it was set */
function shift({ world }: Stage, millis: number): number {
  world.replicas[WRONG]?.shiftClock(millis);
  return epochMillis();
}

function mustTell({ world, must }: { world: Stage['world']; must: Stage['must'] }, told: number): void {
  const lines = world.replicas[WRONG]?.notable().slice(told).join('\n') ?? '';
  must(
    'it says that the clocks differ',
    /clock is [\d.]+ s (?:ahead|behind)/.test(lines),
    lines === '' ? 'nothing said' : 'said',
  );
}

function shifted(id: string, minutes: number): Scenario {
  return {
    id,
    title: `the clock of one replica ${Math.abs(minutes)} minutes ${minutes > 0 ? 'ahead' : 'behind'}`,
    world: 'single',
    run: async (stage) => {
      await stage.before();
      const told = stage.world.replicas[WRONG]?.notable().length ?? 0;
      try {
        const from = shift(stage, minutes * 60_000);
        stage.fault('the clock is set');
        await stage.pass(Math.max(6, stage.seconds));
        const to = epochMillis();
        stage.mustDenyAll('the replica allows nothing', from + 100, to, WRONG);
        const others = [0, 1].map((target) => stage.served(from, to - 500, target));
        const [asked, served] = [sum(others, 'asked'), sum(others, 'served')];
        stage.target('the others go on: not served', ((asked - served) / asked) * 100, 5, ' %');
        mustTell({ world: stage.world, must: stage.must.bind(stage) }, told);
      } finally {
        shift(stage, 0);
      }
      stage.mended('the clock is right again');
      await stage.after(5000);
      await stage.settle();
    },
  };
}

function sum<K extends string>(all: readonly Readonly<Record<K, number>>[], key: K): number {
  return all.reduce((total, one) => total + one[key], 0);
}

export const clockScenarios: readonly Scenario[] = [
  shifted('X15', 10),
  shifted('X16', -10),
  {
    id: 'X17',
    title: 'the clock of one replica 2 s, then 60 s ahead',
    world: 'single',
    run: async (stage) => {
      await stage.before();
      const told = stage.world.replicas[WRONG]?.notable().length ?? 0;
      try {
        const slight = shift(stage, 2000);
        stage.fault('2 s ahead');
        await stage.pass(Math.max(3, stage.seconds / 2));
        const { asked, served } = stage.served(slight, epochMillis() - 500, WRONG);
        stage.target('2 s do not matter: not served', ((asked - served) / asked) * 100, 5, ' %');
        const from = shift(stage, 60_000);
        stage.say('  60 s ahead');
        await stage.pass(Math.max(SEEN_MILLIS / 1000 + 2, stage.seconds));
        const to = epochMillis();
        stage.mustDenyAll('60 s do: the replica allows nothing', from + 100, to, WRONG);
        mustTell({ world: stage.world, must: stage.must.bind(stage) }, told);
      } finally {
        shift(stage, 0);
      }
      stage.mended('the clock is right again');
      await stage.after(5000);
      await stage.settle();
    },
  },
];
