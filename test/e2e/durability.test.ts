/**
 * What holds when the gateway's program is killed in the middle of its work: every request that was allowed has a record, and none is
 * ever allowed twice. HERMESBRIDGE_KILLS sets how often it is killed (default 10).
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { hermesbridge, startWorld, type World } from '../../examples/quickstart/local-world.ts';
import { contentDigest } from '../../src/crypto/content-digest.ts';
import { endEnvoysUnder, envoysUnder, pidsOf, startProgram } from './program.ts';
import { chatSigner, type SignedRequest, send } from './signed-request.ts';

const KILLS = Number(process.env.HERMESBRIDGE_KILLS ?? 10);
const REQUESTS = 100;
const AT_ONCE = 20;

describe('a gateway killed with SIGKILL', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ sidecar: false, standIn: { pauseMs: 0 } });
  });
  afterAll(async () => {
    await world?.stop();
    if (world) await endEnvoysUnder(world.directory);
  });

  /** Sends all, some at a time; kills the program when a number of them were answered. */
  async function sendAndKill(requests: readonly SignedRequest[], killAfter: number) {
    const statuses: number[] = [];
    let restarting: Promise<void> | undefined;
    let answered = 0;
    const queue = requests.entries();
    const worker = async () => {
      for (const [at, signed] of queue) {
        statuses[at] = (await send(signed)).status;
        answered += 1;
        if (answered === killAfter) restarting = world.restartGateway('SIGKILL');
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    await restarting;
    return statuses;
  }

  async function sendAll(requests: readonly SignedRequest[]) {
    const answers: { status: number; reason?: string }[] = [];
    const queue = requests.entries();
    const worker = async () => {
      for (const [at, signed] of queue) answers[at] = await send(signed);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return answers;
  }

  it.each(Array.from({ length: KILLS }, (_, at) => at + 1))(
    'time %i: no allow is lost and none is given twice',
    async (cycle) => {
      world.standIn.clear();
      const sign = await chatSigner(world);
      const requests = Array.from({ length: REQUESTS }, (_, at) => sign(`cycle ${cycle}, request ${at}`));
      const statuses = await sendAndKill(requests, randomInt(5, REQUESTS - AT_ONCE));
      const allowed = requests.filter((_, at) => statuses[at] === 200);
      expect(allowed.length).toBeGreaterThan(0);
      expect(allowed.length).toBeLessThan(REQUESTS); // it was killed with requests in flight
      expect(envoysUnder(world.directory)).toHaveLength(1);

      const recorded = () => world.records(REQUESTS * 10).filter(({ effect }) => effect === 'allow');
      const digests = new Set(recorded().map((record) => record.content_digest));
      expect(allowed.filter(({ body }) => !digests.has(contentDigest(body)))).toEqual([]);
      // The caller may have lost the answer: what the provider was asked counts.
      const bought = world.standIn.requests.map(({ body }) => contentDigest(body));
      expect(bought.filter((digest) => !digests.has(digest))).toEqual([]);

      // On a busy machine a record may miss its time: 503, "could not decide", which is neither yes nor no, so it is asked again.
      let undecided: readonly SignedRequest[] = allowed;
      const replayed: { status: number; reason?: string }[] = [];
      for (let round = 0; round < 5 && undecided.length > 0; round++) {
        const answers = await sendAll(undecided);
        replayed.push(...answers.filter(({ status }) => status !== 503));
        undecided = undecided.filter((_, at) => answers[at]?.status === 503);
      }
      expect(undecided).toEqual([]);
      expect(new Set(replayed.map(({ status, reason }) => `${status} ${reason}`))).toEqual(new Set(['401 nonce-replayed']));
      // What got no answer may be asked again, and still nothing is bought twice.
      await sendAll(requests.filter((_, at) => statuses[at] !== 200));
      const all = world.standIn.requests.map(({ body }) => contentDigest(body));
      expect(all.length).toBe(new Set(all).size);
    },
  );

  it('takes its Envoy with it, and starts again on the same port at once', async () => {
    await world.restartGateway('SIGKILL');
    expect(envoysUnder(world.directory)).toHaveLength(1);
    expect(pidsOf(world.files.gatewayConfiguration)).toHaveLength(1);
    expect(await send((await chatSigner(world))('after the kill'))).toEqual({ status: 200 });
  });
});

describe('one store', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hb-store-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('is held by one program at a time, and free again when that one is killed', async () => {
    const { didKey } = await hermesbridge('keygen', '--out', join(directory, 'operator.jwk'));
    const configure = async (name: string) => {
      const file = join(directory, `${name}.yaml`);
      const verify = {
        service: { listen: `unix:${name}.sock` },
        gateway: { names: ['gateway.local'], authorities: [`127.0.0.1:${await freePort()}`] },
        trust: { operators: [{ did: didKey, vouchesForAgents: true }] },
        providers: {},
        store: { file: 'one.db' },
      };
      await writeFile(file, stringify({ verify }));
      return file;
    };
    const [one, two] = [await configure('one'), await configure('two')];
    const first = await startProgram('serve', one);
    try {
      await expect(startProgram('serve', two)).rejects.toThrow(/one\.db is in use by another hermesbridge/);
      // The first is not disturbed, and neither is its socket by a second start of the same file.
      await expect(startProgram('serve', one)).rejects.toThrow(/in use/);
      await first.stop('SIGKILL');
      const second = await startProgram('serve', two);
      expect(await second.stop()).toEqual({ code: 0, signal: null });
    } finally {
      await first.stop('SIGKILL');
    }
  });
});
