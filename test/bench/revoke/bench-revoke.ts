// `npm run bench:revoke`: how long a revocation takes to be felt, at streams that run and at requests that come, embedded.

import { parseArgs } from 'node:util';
import { percentiles } from '../percentiles.ts';
import { cutRound } from './cut-streams.ts';
import { measureLastAllow } from './last-allow.ts';
import { startRevokeWorld } from './revoke-world.ts';

const HELP = `Usage: npm run bench:revoke [-- options]

A vault and a gateway in one process behind a real Envoy. Streams of an agent, beside as many of another, until the agent is revoked;
and requests of sessions that are revoked one after the other, beside a steady load. All times are from the moment at which the
revocation is acknowledged as in force; negative ones were over before that.

  --rounds N       agents that are revoked with their streams running (default 10)
  --streams N      streams of each (default 64)
  --revocations N  sessions that are revoked under load (default 200)
  --rate N         requests a second beside them (default 300)
  --help           this text
`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    streams: { type: 'string', default: '64' },
    revocations: { type: 'string', default: '200' },
    rate: { type: 'string', default: '300' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const say = (line: string) => process.stdout.write(`${line}\n`);
const GRANT = ['--action', 'chat', '--model', 'openai/gpt-5*'];

if (values.help) say(HELP);
else await main();

async function main(): Promise<void> {
  const world = await startRevokeWorld();
  try {
    const streams = Number(values.streams);
    const other = await world.agent('other', ...GRANT);
    const rounds = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      const { did, credentials } = await world.agent(`target-${round}`, ...GRANT);
      const result = await cutRound(world, { what: { kind: 'agent', value: did }, credentials }, other.credentials, streams);
      if (result.untouched !== streams) throw new Error(`${streams - result.untouched} streams of another agent did not go on`);
      rounds.push(result);
    }
    say(`${rounds.length} agents revoked, ${streams} streams each, ${streams} of another agent went on`);
    say(
      line(
        'last byte of any stream',
        rounds.map(({ lastByteMillis }) => lastByteMillis),
      ),
    );
    say(
      line(
        'last stream broken',
        rounds.map(({ lastBrokenMillis }) => lastBrokenMillis),
      ),
    );
    const agent = await world.agent('sessions', ...GRANT, '--max-depth', '1');
    const load = { revocations: Number(values.revocations), perSecond: Number(values.rate) };
    const { lastAllowMillis, background } = await measureLastAllow(world, agent, load);
    say(`${lastAllowMillis.length} sessions revoked, ${background.perSecond.toFixed(0)} requests/s beside them`);
    say(line('last request allowed', lastAllowMillis));
  } finally {
    await world.stop();
  }
}

function line(what: string, millis: readonly number[]): string {
  const { p50, p99 } = percentiles(millis);
  const [half, nearlyAll, most] = [p50, p99, Math.max(...millis)].map((value) => `${value.toFixed(1)} ms`);
  return `${what.padEnd(28)} p50 ${half}, p99 ${nearlyAll}, most ${most}`;
}
