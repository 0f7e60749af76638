// Replicas that go and come, behind one Envoy or all at the same time, and a bad network between Envoy and them.

import { AGENTS } from '../agents.ts';
import type { Scenario, Stage } from '../scenario.ts';
import { epochMillis } from '../traffic.ts';

const LOST_PERCENT = 0.1;
/** A connection that breaks takes answers with it that have begun to arrive, and Envoy asks for those no second time. */
const LOST_WITH_CONNECTIONS_PERCENT = 2;
const ROLLOUTS = { full: 10, short: 1 };
/** No further one is begun then. */
const MOST_ROLLING_MILLIS = 150_000;

/** Of the fresh requests of that time. */
function failedPercent(stage: Stage, from: number, to: number): number {
  const { asked, served, why } = stage.served(from, to);
  stage.say(`  ${asked - served} of ${asked} fresh requests were not served${why}`);
  return ((asked - served) / asked) * 100;
}

function proxiedPort({ world }: Stage): number[] {
  if (world.proxiedPort === undefined) throw new Error('not a world with one Envoy');
  return [world.proxiedPort];
}

export const replicaScenarios: readonly Scenario[] = [
  {
    id: 'X21',
    title: 'all replicas restarted together',
    world: 'single',
    run: async (stage) => {
      const { replicas, site } = stage.world;
      await stage.before();
      const asked = site?.asked().length ?? 0;
      stage.fault('all replicas are told to end');
      await Promise.all(replicas.map((replica) => replica.stop()));
      const goneAt = epochMillis();
      stage.mendedAt = goneAt;
      await Promise.all(replicas.map((replica) => replica.start()));
      stage.target('ready', epochMillis() - goneAt, 10_000, ' ms');
      stage.say('  all replicas are back');
      await stage.after(10_000);
      await stage.pass(stage.seconds);
      await stage.settle();
      if (site === undefined) return stage.say('  no name of this machine leads to it: fetches of DIDs are not counted');
      const paths = Map.groupBy(site.asked().slice(asked), (path) => path);
      const most = Math.max(0, ...[...paths.values()].map(({ length }) => length));
      const found = `${paths.size} of ${AGENTS.web} DIDs, ${most} fetches at most`;
      stage.must('each replica fetches a DID at most once', most <= replicas.length, found);
    },
  },
  {
    id: 'X19',
    title: 'a replica killed with kill -9',
    world: 'shared',
    run: async (stage) => {
      const { replicas } = stage.world;
      await stage.before();
      const from = epochMillis();
      stage.fault('one of three is killed');
      await replicas[0]?.kill();
      await stage.pass(stage.seconds);
      await replicas[0]?.start();
      stage.mended('it is back');
      await stage.after(1000);
      await stage.pass(stage.seconds);
      await stage.settle();
      stage.target('fresh requests that failed', failedPercent(stage, from, epochMillis()), LOST_PERCENT, ' %');
    },
  },
  {
    id: 'X20',
    title: 'rolling updates, each replica with SIGTERM',
    world: 'shared',
    run: async (stage) => {
      const { replicas } = stage.world;
      await stage.before();
      const rollouts = stage.short ? ROLLOUTS.short : ROLLOUTS.full;
      const from = epochMillis();
      let slowest = 0;
      let done = 0;
      for (let rollout = 1; rollout <= rollouts && epochMillis() < from + MOST_ROLLING_MILLIS; rollout++) {
        stage.fault(`rollout ${rollout} of ${rollouts}`);
        for (const replica of replicas) {
          const began = epochMillis();
          await replica.stop();
          await replica.start();
          slowest = Math.max(slowest, epochMillis() - began);
          // As long as Envoy may take to see that it is there.
          await stage.pass(1.2);
        }
        done++;
      }
      stage.mended('the last rollout is over');
      await stage.after(1000);
      await stage.settle();
      stage.target(`fresh requests that failed in ${done} rollouts`, failedPercent(stage, from, epochMillis()), 0, ' %');
      stage.target('a replica, stop to ready, slowest', slowest / 1000, 30, ' s');
    },
  },
  {
    id: 'X38',
    title: 'packets lost and late between Envoy and the replicas',
    world: 'shared',
    run: async (stage) => {
      const { proxies } = stage.world;
      await stage.before(proxiedPort(stage));
      const from = epochMillis();
      // To TCP a lost packet is one that comes later, after the time in which it is sent again.
      const delay = () => Math.random() * 100 + (Math.random() < 0.05 ? 200 : 0);
      for (const proxy of proxies) proxy.weather({ delay, breaks: () => false });
      stage.fault('5 % lost, and up to 100 ms late');
      await stage.pass(stage.seconds * 2);
      const breaking = epochMillis();
      for (const proxy of proxies) proxy.weather({ delay, breaks: () => Math.random() < 0.002 });
      stage.say('  now and then a connection is, too');
      await stage.pass(stage.seconds);
      const to = epochMillis();
      for (const proxy of proxies) proxy.weather(undefined);
      stage.mended('the network is good again');
      await stage.after(1000);
      await stage.settle();
      stage.target('fresh requests that failed by loss and delay', failedPercent(stage, from, breaking), LOST_PERCENT, ' %');
      const withConnections = failedPercent(stage, breaking, to);
      stage.target('while connections were lost too', withConnections, LOST_WITH_CONNECTIONS_PERCENT, ' %');
    },
  },
  {
    id: 'X39',
    title: 'GOAWAY on each connection, again and again',
    world: 'shared',
    run: async (stage) => {
      const { proxies } = stage.world;
      await stage.before(proxiedPort(stage));
      const from = epochMillis();
      let said = 0;
      const churn = () => {
        for (const proxy of proxies)
          for (const { interposer, destroy } of proxy.connections) {
            said++;
            interposer?.sayGoaway(false);
            setTimeout(() => interposer?.sayGoaway(true), 100);
            setTimeout(destroy, 2000);
          }
      };
      const churning = setInterval(churn, 500);
      stage.fault('connections grow no older than half a second');
      try {
        await stage.pass(stage.seconds * 2);
      } finally {
        clearInterval(churning);
      }
      const to = epochMillis();
      stage.mended('connections are left alone');
      await stage.after(1000);
      await stage.settle();
      stage.must('connections were ended', said > 10, `${said}`);
      stage.target('fresh requests that failed meanwhile', failedPercent(stage, from, to), 0, ' %');
    },
  },
];
