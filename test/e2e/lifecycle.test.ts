/** How the program starts, takes up changes, drains and ends: signals, reloads, renewals, and what it does when a part of it dies. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { GATEWAY_NAME, hermesbridge, PROVIDER_KEY, startWorld, type World } from '../../examples/quickstart/local-world.ts';
import { authorizationClient } from './authorization-client.ts';
import { envoysUnder, MAIN, type Program, pidsOf, startProgram } from './program.ts';
import { chatSigner, send } from './signed-request.ts';
import { readStream } from './streamed.ts';

const CHAT = { model: 'gpt-5-mini', messages: [{ role: 'user' as const, content: 'Hello' }] };
const SOON = { timeout: 10_000, interval: 100 };

/** `WORLD.operatorKey` or another issues a capability to the world's agent. */
async function issue(world: World, options: readonly string[], operatorKey = world.files.operatorKey): Promise<string> {
  const fixed = ['--operator-key', operatorKey, '--agent', world.agentDid, '--audience', GATEWAY_NAME];
  const { token } = await hermesbridge('capability', 'issue', ...fixed, ...options);
  return `${token}\n`;
}

describe('up', () => {
  let world: World;
  let gateway: Program;
  const startGateway = () => startProgram('up', world.files.gatewayConfiguration);
  beforeAll(async () => {
    world = await startWorld({ standIn: { pauseMs: 100 } });
    // The world's own gateway makes place for one whose end can be watched, on the same port.
    for (const pid of pidsOf(world.files.gatewayConfiguration)) process.kill(pid, 'SIGTERM');
    await vi.waitUntil(() => pidsOf(world.files.gatewayConfiguration).length === 0, SOON);
    gateway = await startGateway();
  });
  afterAll(async () => {
    await gateway?.stop();
    await world?.stop();
  });
  const openai = () => new OpenAI({ apiKey: world.localSecret, baseURL: `${world.sidecarUrl}/openai/v1`, maxRetries: 0 });
  const ask = (model: string) =>
    openai()
      .chat.completions.create({ ...CHAT, model })
      .then(
        () => 'allowed',
        (error: unknown) => (error instanceof OpenAI.APIError ? error.code : String(error)),
      );

  it('is ready within seconds', async () => {
    expect(await ask('gpt-5-mini')).toBe('allowed');
    process.stderr.write(`    up: ${Math.round(gateway.readyMillis)} ms from start to ready\n`);
    expect(gateway.readyMillis).toBeLessThan(20_000);
  });

  describe('on SIGHUP', () => {
    const edit = async (change: (configuration: { verify: Record<string, Record<string, unknown[]>> }) => void) => {
      const before = await readFile(world.files.gatewayConfiguration, 'utf8');
      const configuration = parse(before);
      change(configuration);
      await writeFile(world.files.gatewayConfiguration, stringify(configuration));
      return { restore: () => writeFile(world.files.gatewayConfiguration, before) };
    };
    /** What it logs about the reload. */
    const reload = async () => {
      const before = gateway.log().length;
      gateway.signal('SIGHUP');
      const said = () => gateway.log().slice(before);
      await expect.poll(said, SOON).toMatch(/"configuration (not )?reloaded/);
      return said();
    };

    it('trusts a new operator, without a restart, and no longer one that was taken out', async () => {
      const operatorKey = join(world.directory, 'other-operator.jwk');
      const { didKey } = await hermesbridge('keygen', '--out', operatorKey);
      const file = join(world.directory, 'other.capability');
      await writeFile(file, await issue(world, ['--model', 'openai/gpt-5*'], operatorKey));
      const sign = await chatSigner(world, file);
      expect(await send(sign('not yet'))).toEqual({ status: 401, reason: 'chain-invalid' });
      const { restore } = await edit(({ verify }) => verify.trust?.operators?.push({ did: didKey, vouchesForAgents: true }));
      expect(await reload()).toContain('"configuration reloaded"');
      expect(await send(sign('now'))).toEqual({ status: 200 });
      expect(await ask('gpt-5-mini')).toBe('allowed');
      await restore();
      await reload();
      expect(await send(sign('no longer'))).toEqual({ status: 401, reason: 'chain-invalid' });
    });

    it.each([
      ['is not YAML', () => '{', /gateway\.yaml:\d+: /],
      [
        'has an unknown key',
        (text: string) => text.replace('trust:', 'trusted:'),
        /gateway\.yaml:\d+: .*trusted: is not a known key/,
      ],
      [
        'moves what is bound at start',
        (text: string) => text.replace('concurrency: 1', 'concurrency: 2'),
        /envoy: changes only with/,
      ],
      ['is gone', () => undefined, /cannot be read/],
    ])('keeps the old configuration when the new one %s, and says why', async (_what, change, why) => {
      const before = await readFile(world.files.gatewayConfiguration, 'utf8');
      const text = change(before);
      try {
        if (text === undefined) await rm(world.files.gatewayConfiguration);
        else await writeFile(world.files.gatewayConfiguration, text);
        const said = await reload();
        expect(said).toContain('configuration not reloaded: the old one stays in force');
        expect(said).toMatch(why);
        expect(await ask('gpt-5-mini')).toBe('allowed');
      } finally {
        await writeFile(world.files.gatewayConfiguration, before);
      }
    });
  });

  it.each([
    ['in place', (file: string, key: string) => writeFile(file, key)],
    ['by a rename', async (file: string, key: string) => writeFile(`${file}.new`, key).then(() => rename(`${file}.new`, file))],
  ])('takes up a provider key that was rotated %s, without a restart', async (how, write) => {
    const file = join(world.directory, 'provider.key');
    const rotated = `sk-rotated-${how.replaceAll(' ', '-')}`;
    const seen = async () => {
      await ask('gpt-5-mini');
      return world.standIn.requests.at(-1)?.headers.authorization;
    };
    await write(file, `${rotated}\n`);
    await expect.poll(seen, SOON).toBe(`Bearer ${rotated}`);
    await write(file, PROVIDER_KEY);
    await expect.poll(seen, SOON).toBe(`Bearer ${PROVIDER_KEY}`);
    expect(gateway.log()).not.toContain(rotated);
  });

  it('of a sidecar takes up a renewed capability, keeps the old when the new one is for another key, and denies when it expired', async () => {
    const original = await readFile(world.files.capability, 'utf8');
    expect(await ask('o3-pro')).toBe('capability-insufficient');
    await writeFile(world.files.capability, await issue(world, ['--model', 'openai/o3-pro']));
    await expect.poll(() => ask('o3-pro'), SOON).toBe('allowed');

    const { didKey } = await hermesbridge('keygen', '--out', join(world.directory, 'stranger.jwk'));
    const foreign = { ...world, agentDid: String(didKey) };
    await writeFile(world.files.capability, await issue(foreign, ['--model', 'openai/gpt-5-mini']));
    await sleep(2500); // it looks every second
    expect(await ask('o3-pro')).toBe('allowed');
    expect(await ask('gpt-5-mini')).toBe('capability-insufficient');

    await writeFile(world.files.capability, await issue(world, ['--model', 'openai/gpt-5-mini', '--lifetime', '4s']));
    await expect.poll(() => ask('gpt-5-mini'), SOON).toBe('allowed');
    await expect.poll(() => ask('gpt-5-mini'), SOON).toBe('chain-invalid');
    const recorded = world.records(1000).length;
    const expired = await openai()
      .chat.completions.create(CHAT)
      .catch((error: unknown) => error);
    expect(expired).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(String(expired)).toMatch(/capability has expired/);
    expect(world.records(1000)).toHaveLength(recorded); // the sidecar said so by itself

    await writeFile(world.files.capability, original);
    await expect.poll(() => ask('gpt-5-mini'), SOON).toBe('allowed');
  });

  it('ends when its Envoy dies, with 1 and the reason', async () => {
    const [envoy] = envoysUnder(join(world.directory, 'run/verify-envoy'));
    process.kill(envoy ?? 0, 'SIGKILL');
    expect(await gateway.ended).toEqual({ code: 1, signal: null });
    expect(gateway.log()).toMatch(/hermesbridge:.* Envoy was ended by SIGKILL/);
    gateway = await startGateway();
    expect(await ask('gpt-5-mini')).toBe('allowed');
  });

  it('ends, and its Envoy with it, when the program that started it is killed', async () => {
    await gateway.stop();
    const start = `require('node:child_process').spawn(process.execPath, ${JSON.stringify([
      MAIN,
      'up',
      '--config',
      world.files.gatewayConfiguration,
    ])}, { stdio: ['ignore', 'inherit', 'ignore', 'ipc'] })`;
    const parent = spawn(process.execPath, ['-e', start], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [said] = await once(parent.stdout, 'data');
      expect(String(said)).toMatch(/^verify {2}http:/);
      expect(envoysUnder(join(world.directory, 'run/verify-envoy'))).toHaveLength(1);
    } finally {
      parent.kill('SIGKILL');
    }
    // The parent's own command line names the file too.
    await expect.poll(() => pidsOf(world.files.gatewayConfiguration), SOON).toEqual([]);
    expect(envoysUnder(join(world.directory, 'run/verify-envoy'))).toEqual([]);
    gateway = await startGateway();
  });

  it('on SIGTERM lets a stream in flight end whole, takes no new request, and ends with 0 and nothing left behind', async () => {
    const stream = await openai().chat.completions.create({ ...CHAT, stream: true });
    let pieces = 0;
    const reading = readStream(stream, (chunk) => {
      pieces += 1;
      if (pieces === 2) gateway.signal('SIGTERM');
      return chunk.choices[0]?.delta.content;
    }).catch((error: unknown) => ({ text: `broken off: ${String(error)}` }));
    const { text } = await reading;
    expect(await gateway.ended).toEqual({ code: 0, signal: null });
    expect(envoysUnder(join(world.directory, 'run/verify-envoy'))).toEqual([]);
    expect(existsSync(join(world.directory, 'run/verify.sock'))).toBe(false);
    expect(await ask('gpt-5-mini')).not.toBe('allowed');
    expect(text).toBe(world.standIn.text);
  });
});

describe('serve', () => {
  let directory: string;
  let file: string;
  let socket: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'hb-'));
    file = join(directory, 'gateway.yaml');
    socket = join(directory, 'v.sock');
    const { didKey } = await hermesbridge('keygen', '--out', join(directory, 'operator.jwk'));
    const verify = {
      service: { listen: 'unix:v.sock', drainSeconds: 1.5 },
      gateway: { names: ['gateway.local'] },
      trust: { operators: [{ did: didKey, vouchesForAgents: true }] },
      providers: {},
      store: { file: 'v.db' },
    };
    await writeFile(file, stringify({ verify }));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('drains on SIGTERM: NOT_SERVING at once, answers while it drains, then ends with 0 and removes its socket', async () => {
    const program = await startProgram('serve', file);
    const client = authorizationClient(`unix:${socket}`);
    try {
      expect(await client.health()).toBe('SERVING');
      // Not awaited: these are in flight when the signal comes.
      const inFlight = Array.from({ length: 200 }, () => client.check());
      program.signal('SIGTERM');
      await expect.poll(() => client.health()).toBe('NOT_SERVING');
      expect((await client.check()).status.code).toBe(7);
      expect(new Set((await Promise.all(inFlight)).map(({ status }) => status.code))).toEqual(new Set([7]));
      expect(existsSync(socket)).toBe(true);
      expect(await program.ended).toEqual({ code: 0, signal: null });
      expect(existsSync(socket)).toBe(false);
    } finally {
      client.close();
      await program.stop('SIGKILL');
    }
  });

  it('tells who watches its health, and does not wait for them for ever', async () => {
    const program = await startProgram('serve', file);
    const client = authorizationClient(`unix:${socket}`);
    try {
      const statuses: string[] = [];
      client.watchHealth((status) => statuses.push(status));
      await expect.poll(() => statuses, SOON).toEqual(['SERVING']);
      program.signal('SIGTERM');
      await expect.poll(() => statuses, SOON).toEqual(['SERVING', 'NOT_SERVING']);
      const ended = await Promise.race([program.ended, sleep(10_000)]);
      expect(ended).toEqual({ code: 0, signal: null });
    } finally {
      client.close();
      await program.stop('SIGKILL');
    }
  });

  it('ends at once on a second signal', async () => {
    const program = await startProgram('serve', file);
    const signalledAt = performance.now();
    program.signal('SIGTERM');
    await sleep(200);
    program.signal('SIGINT');
    expect(await program.ended).toEqual({ code: 130, signal: null });
    expect(performance.now() - signalledAt).toBeLessThan(1200);
  });

  it('starts over the socket that a killed one left behind', async () => {
    const killed = await startProgram('serve', file);
    await killed.stop('SIGKILL');
    expect(existsSync(socket)).toBe(true);
    const program = await startProgram('serve', file);
    const client = authorizationClient(`unix:${socket}`);
    expect(await client.health()).toBe('SERVING');
    client.close();
    expect(await program.stop()).toEqual({ code: 0, signal: null });
  });
});
