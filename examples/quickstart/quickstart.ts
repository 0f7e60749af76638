// The main job in one story: an unmodified SDK streams a chat through sidecar and gateway; the same bytes replayed are
// refused; a model outside the capability is refused; each with the record it left. Exits 0 only if all went as told.

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parseArgs, styleText } from 'node:util';
import OpenAI from 'openai';
import { readPrivateKey } from '../../src/crypto/private-key.ts';
import { signRequest } from '../../src/sign/sign-request.ts';
import { startWorld, type World } from './local-world.ts';

const HELP = `Usage: npm run quickstart [-- --keep]

Starts an LLM stand-in, the gateway and the sidecar on free local ports, and tells what they do.

  --once  tell the story, stop everything, exit 0 only if every step ended as told (default)
  --keep  leave all running afterwards and print the URLs and a curl to try; Ctrl-C stops it
  --help  this text
`;

/** With room below it for sessions, tasks and delegations. */
const GRANT = ['--action', 'chat', '--model', 'openai/gpt-5*', '--model', 'anthropic/claude-*', '--max-depth', '3'];

const { values } = parseArgs({
  options: { keep: { type: 'boolean' }, once: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
});
const say = (text = '') => process.stdout.write(`${text}\n`);

if (values.help) say(HELP);
else await main();

async function main(): Promise<void> {
  let world: World | undefined;
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= world?.stop() ?? Promise.resolve());
  const interrupted = Promise.withResolvers<'interrupted'>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.resolve('interrupted'));
  try {
    say(`${styleText('bold', 'HermesBridge quickstart')}  (the first run fetches Envoy, about 40 MB)`);
    const starting = startWorld({ capability: GRANT, onProgress: (line) => say(styleText('dim', `  ${line}`)) });
    starting.then(
      (started) => {
        world = started;
      },
      () => {},
    );
    if ((await Promise.race([starting, interrupted.promise])) === 'interrupted') {
      await starting.catch(() => {});
      process.exitCode = 130;
      return;
    }
    world = await starting;
    const ended = await Promise.race([tell(world), interrupted.promise]);
    if (ended === 'interrupted') process.exitCode = 130;
    else if (values.keep) {
      printWorld(world);
      await interrupted.promise;
    }
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(`${styleText('red', 'quickstart failed:')} ${error instanceof Error ? error.message : String(error)}\n`);
  } finally {
    await stop();
  }
}

async function tell(world: World): Promise<'told'> {
  say(`\n  agent     ${world.agentDid}`);
  say(`  operator  ${world.operatorDid}`);
  say(`  path      openai SDK -> ${world.sidecarUrl} (sidecar signs) -> ${world.gatewayUrl} (gateway decides) -> stand-in`);
  await streamsThrough(world);
  await replayIsRefused(world);
  await otherModelIsRefused(world);
  say(`\n${styleText('green', 'All three ended as told.')}`);
  return 'told';
}

function sdk({ sidecarUrl, localSecret }: World): OpenAI {
  return new OpenAI({ baseURL: `${sidecarUrl}/openai/v1`, apiKey: localSecret });
}

async function streamsThrough(world: World): Promise<void> {
  say(`\n${styleText('bold', '1. The unmodified openai SDK streams a chat')}`);
  process.stdout.write('   ');
  const stream = await sdk(world).chat.completions.create({
    model: 'gpt-5-mini',
    stream: true,
    messages: [{ role: 'user', content: 'Hello' }],
  });
  let text = '';
  const arrivals: number[] = [];
  for await (const chunk of stream) {
    const token = chunk.choices[0]?.delta.content ?? '';
    if (token === '') continue;
    arrivals.push(performance.now());
    text += token;
    process.stdout.write(token);
  }
  say();
  expect(text === world.standIn.text, 'the streamed text is the provider’s');
  const spread = Math.round((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0));
  expect(arrivals.length > 3 && spread > 100, 'tokens arrived one by one');
  say(styleText('dim', `   ${arrivals.length} pieces over ${spread} ms; the provider saw its own key and nothing of the agent`));
  const seen = world.standIn.requests.at(-1)?.rawHeaders.map(([name]) => name) ?? [];
  expect(
    !seen.some((name) => name.startsWith('agent-') || name.startsWith('signature')),
    'nothing of the agent reached the provider',
  );
  showRecord(world, { effect: 'allow' });
  expect(typeof world.records(1)[0]?.sid === 'string', 'it was signed in a session of the sidecar');
}

async function replayIsRefused(world: World): Promise<void> {
  say(`\n${styleText('bold', '2. The same bytes sent again are refused')}`);
  const body = Buffer.from(JSON.stringify({ model: 'gpt-5-mini', messages: [{ role: 'user', content: 'once' }] }));
  const url = new URL(`${world.gatewayUrl}/openai/v1/chat/completions`);
  const key = readPrivateKey(await readFile(world.files.agentKey, 'utf8'));
  const chain = [(await readFile(world.files.capability, 'utf8')).trim()];
  const fields = new Map([['content-type', ['application/json']]]);
  const request = { method: 'POST', authority: url.host, path: url.pathname, query: '?', fields, body };
  const signed = signRequest(request, { key, chain }, { now: Date.now(), lifetimeSeconds: 60, nonce: randomBytes(16) });
  const send = () => fetch(url, { method: 'POST', headers: [['content-type', 'application/json'], ...signed], body });
  const first = await send();
  await first.arrayBuffer();
  const hits = world.standIn.requests.length;
  const second = await send();
  const problem = (await second.json()) as { title: string };
  say(`   first ${first.status}, second ${second.status}: ${problem.title}`);
  expect(first.status === 200 && second.status === 401, 'the first was allowed and the second refused');
  expect(world.standIn.requests.length === hits, 'the replay never reached the provider');
  showRecord(world, { effect: 'deny', reason: 'nonce-replayed' });
}

async function otherModelIsRefused(world: World): Promise<void> {
  say(`\n${styleText('bold', '3. A model outside the capability is refused')}`);
  const answer = await sdk(world)
    .chat.completions.create({ model: 'o3-pro', messages: [{ role: 'user', content: 'Hello' }] })
    .then(
      () => undefined,
      (error: unknown) => (error instanceof OpenAI.APIError ? error : undefined),
    );
  say(`   the SDK throws ${answer?.constructor.name}: ${answer?.message}`);
  expect(answer?.status === 403 && answer.code === 'capability-insufficient', 'the model was refused');
  showRecord(world, { effect: 'deny', reason: 'capability-insufficient' });
}

function showRecord(world: World, expected: Record<string, string>): void {
  const [record] = world.records(1);
  for (const [name, value] of Object.entries(expected)) expect(record?.[name] === value, `the record says ${name} ${value}`);
  const shown = ['decision_id', 'effect', 'reason', 'agents', 'operator', 'sid', 'action', 'model', 'path', 'keyid'];
  for (const name of shown) if (record?.[name] !== undefined) say(styleText('dim', `   ${name.padEnd(12)} ${record[name]}`));
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(`it did not happen that ${what}`);
}

function printWorld(world: World): void {
  say(`\nEverything is still running. Ctrl-C stops it.\n`);
  say(`  export OPENAI_BASE_URL=${world.sidecarUrl}/openai/v1 OPENAI_API_KEY=${world.localSecret}`);
  say(`  export ANTHROPIC_BASE_URL=${world.sidecarUrl}/anthropic ANTHROPIC_API_KEY=${world.localSecret}`);
  say(`\n  curl -N ${world.sidecarUrl}/openai/v1/chat/completions -H 'authorization: Bearer ${world.localSecret}' \\`);
  say(
    `    -H 'content-type: application/json' -d '{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}'`,
  );
  say(`\n  records: npm run hermesbridge -- records --store ${world.directory}/run/hermesbridge.db`);
}
