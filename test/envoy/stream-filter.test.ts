/**
 * What Envoy does with a response that is watched over, and when nobody watches (profile section 6): each case with the real one, a
 * provider that the test writes, and a service that says yes to every Check.
 */

import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { adminGet } from '../../src/envoy/run-envoy.ts';
import { makeWatchHandler } from '../../src/ext-proc/watch-response.ts';
import { LiveStreams } from '../../src/streams/live-streams.ts';
import { post } from './loopback.ts';
import { startWatchedScene, type Watch, type WatchedScene } from './watched-scene.ts';

const slow = { timeout: 60_000 };
const silent = pino({ level: 'silent' });
const HOUR = Math.floor(Date.now() / 1000) + 3600;
const chain = JSON.stringify({
  operator: { did: 'did:key:operator' },
  links: [{ agent: 'did:key:agent', jti: 'j', jkt: 'k', iat: 1 }],
  expires: HOUR,
});
const metadata = { decision_id: 'd-1', chain };
const AGENT = { kind: 'agent', value: 'did:key:agent' } as const;

/** Live streams as the service keeps them, and what would revoke them. */
function watching() {
  let revoked = false;
  const onCut = vi.fn();
  const find = () => (revoked ? { revoked: { id: 'r', kind: 'agent', role: 'operator', at: 1 } as const } : { narrowed: [] });
  const live = new LiveStreams({ inForce: { find }, clock: Date.now, onCut });
  const revoke = () => {
    revoked = true;
    live.restricted(AGENT);
  };
  return { live, onCut, revoke, watch: makeWatchHandler(live, silent) };
}

/** A call whose first event has arrived. */
async function openStream({ port, provider }: WatchedScene) {
  const sent = request({ host: '127.0.0.1', port, method: 'POST', path: '/local/', headers: { host: 'gateway.example' } });
  sent.on('error', () => {});
  sent.end('{}');
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  const given = provider.next();
  const refused = answered.then(([{ statusCode }]) => {
    if (statusCode !== 200) throw new Error(`no stream: answered ${statusCode}`);
    return given;
  });
  const call = await Promise.race([given, refused]);
  call.response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
  const [response] = await answered;
  let text = '';
  response.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  const ended = new Promise<'whole' | 'broken'>((resolve) => {
    response.once('end', () => resolve('whole'));
    response.once('error', () => resolve('broken'));
  });
  await vi.waitFor(() => expect(text).toBe('data: 1\n\n'));
  return { call, sent, response, ended, text: () => text };
}

test(
  'a stream that runs is ended at the client and at the provider, the others go on, and none is left behind',
  slow,
  async () => {
    const { live, onCut, revoke, watch } = watching();
    await using scene = await startWatchedScene({ watch, metadata });
    const whole = await openStream(scene);
    whole.call.response.end('data: 2\n\n');
    expect(await whole.ended).toBe('whole');
    await vi.waitFor(() => expect(live.size).toBe(0));
    const stream = await openStream(scene);
    expect(live.size).toBe(1);
    const at = performance.now();
    revoke();
    expect(await stream.ended).toBe('broken');
    expect((await stream.call.closed) - at).toBeLessThan(1000);
    expect(onCut.mock.calls).toEqual([[{ decisionId: 'd-1', chain: JSON.parse(chain), reason: 'revoked', restriction: 'r' }]]);
    expect(live.size).toBe(0);
  },
);

test('of two streams in one HTTP/2 connection only its own is reset', slow, async () => {
  const { live, revoke, watch } = watching();
  let first = true;
  // The first is watched over by someone who lets it run.
  const firstLives: Watch = (call) => {
    if (!first) return watch(call);
    first = false;
    call.on('data', () => call.write(Buffer.of(0x12, 0x00)));
    call.on('error', () => {});
  };
  await using scene = await startWatchedScene({ watch: firstLives, metadata });
  const session = connect(`http://127.0.0.1:${scene.port}`);
  const open = async () => {
    const stream = session.request({ ':method': 'POST', ':path': '/local/', ':authority': 'gateway.example' });
    stream.on('error', () => {});
    stream.end('{}');
    const call = await scene.provider.next();
    call.response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
    await once(stream, 'data');
    return { stream, call };
  };
  const [kept, cut] = [await open(), await open()];
  expect(live.size).toBe(1);
  revoke();
  await new Promise((resolve) => cut.stream.once('close', resolve));
  expect(cut.stream.rstCode).not.toBe(0);
  kept.call.response.end('data: 2\n\n');
  const [more] = await once(kept.stream, 'data');
  expect(String(more)).toBe('data: 2\n\n');
  session.destroy();
});

test('a client that goes away, and a provider that breaks off, leave nothing behind', slow, async () => {
  const { live, onCut, watch } = watching();
  await using scene = await startWatchedScene({ watch, metadata });
  const [aborted, broken] = [await openStream(scene), await openStream(scene)];
  expect(live.size).toBe(2);
  aborted.sent.destroy();
  broken.call.response.destroy();
  expect(await broken.ended).toBe('broken');
  await vi.waitFor(() => expect(live.size).toBe(0));
  expect(onCut).not.toHaveBeenCalled();
});

const answers: [string, number, Record<string, string>, string | undefined][] = [
  ['an error of the provider', 500, { 'content-type': 'application/json' }, '{"error":{}}'],
  ['an answer without a body', 204, {}, undefined],
  ['a long answer', 200, { 'content-length': '100000' }, 'x'.repeat(100_000)],
];
test.each(answers)('%s comes through as it is', slow, async (_what, status, headers, body) => {
  const { live, watch } = watching();
  await using scene = await startWatchedScene({ watch, metadata });
  const asking = post(scene.port, { path: '/local/' });
  (await scene.provider.next()).response.writeHead(status, headers).end(body);
  expect(await asking).toMatchObject({ status, body: body ?? '' });
  await vi.waitFor(() => expect(live.size).toBe(0));
});

test('a short answer of known length needs no watch, and a stream of unknown length has one', slow, async () => {
  const asked = vi.fn();
  const watch: Watch = (call) => {
    asked();
    call.on('data', () => call.write(Buffer.of(0x12, 0x00)));
    call.on('error', () => {});
  };
  await using scene = await startWatchedScene({ watch, metadata });
  for (const [headers, times] of [[{ 'content-length': '2' }, 0] as const, [{}, 1] as const]) {
    const asking = post(scene.port, { path: '/local/' });
    const { response } = await scene.provider.next();
    response.writeHead(200, headers).write('{');
    response.end('}');
    expect(await asking).toMatchObject({ status: 200, body: '{}' });
    expect(asked).toHaveBeenCalledTimes(times);
  }
});

test('what Envoy answers by itself needs no watch: a path without a provider, a provider that is not there', slow, async () => {
  const asked = vi.fn();
  await using scene = await startWatchedScene({ watch: asked, metadata, upstream: new URL('http://127.0.0.1:9/') });
  expect((await post(scene.port, { path: '/nowhere' })).status).toBe(404);
  expect(await post(scene.port, { path: '/local/' })).toMatchObject({ status: 503, body: /upstream connect error/ });
  expect(asked).not.toHaveBeenCalled();
});

/** Headers answered with: a change of the status; an answer of its own; two words instead of one. */
const setHeader = Buffer.from('12200a1e121c0a1a0a180a073a7374617475731a0d323030202020202020202020', 'hex');
const immediate = Buffer.of(0x3a, 0x05, 0x0a, 0x03, 0x08, 0xc8, 0x01);

const faults: [string, Watch | undefined, Record<string, string>, number?][] = [
  ['nobody watches', undefined, metadata],
  ['the watch says nothing in time', (call) => void call.on('error', () => {}), metadata, 504],
  ['the watch ends with an error', (call) => void call.emit('error', { code: 13, details: 'x' }), metadata],
  ['ext_authz left no metadata', watching().watch, {}],
  ['ext_authz left no chain', watching().watch, { decision_id: 'd-1' }],
  ['ext_authz left no decision', watching().watch, { chain }],
  ['the chain is none', watching().watch, { decision_id: 'd-1', chain: '{}' }],
  ['the chain has expired since', watching().watch, { ...metadata, chain: chain.replace(String(HOUR), '1') }],
  ['the watch would change a header', (call) => void call.on('data', () => call.write(setHeader)), metadata],
  ['the watch would answer in the provider’s place', (call) => void call.on('data', () => call.write(immediate)), metadata],
  ['the watch speaks of trailers', (call) => void call.on('data', () => call.write(Buffer.of(0x32, 0x00))), metadata],
];
test.each(faults)(
  '%s: 503, nothing of the response, and the provider’s connection is closed',
  slow,
  async (_what, watch, left, status = 503) => {
    await using scene = await startWatchedScene({ watch, metadata: left });
    const asking = post(scene.port, { path: '/local/' });
    const call = await scene.provider.next();
    call.response.writeHead(200, { 'content-type': 'text/event-stream', 'x-of-the-provider': '1' }).write('data: secret\n\n');
    const answer = await asking;
    expect(answer.status).toBe(status);
    expect(answer.headers).not.toHaveProperty('x-of-the-provider');
    expect(answer.body).not.toContain('secret');
    await call.closed;
  },
);

test('a service that stops lets a stream run for as long as it may, and then ends it', slow, async () => {
  const { live, onCut, watch } = watching();
  await using scene = await startWatchedScene({ watch, metadata });
  const stream = await openStream(scene);
  const stopping = scene.stopService();
  await sleep(1000);
  stream.call.response.write('data: 2\n\n');
  await vi.waitFor(() => expect(stream.text()).toContain('data: 2'));
  await stopping;
  live.close();
  expect(await stream.ended).toBe('broken');
  await stream.call.closed;
  expect(onCut).not.toHaveBeenCalled();
});

test('a service that is gone without a word ends what it watched over', slow, async () => {
  const { live, watch } = watching();
  await using scene = await startWatchedScene({ watch, metadata });
  const stream = await openStream(scene);
  scene.killService();
  expect(await stream.ended).toBe('broken');
  await stream.call.closed;
  await vi.waitFor(() => expect(live.size).toBe(0));
});

test('many streams at once have a place beside the Checks', slow, async () => {
  const { live, revoke, watch } = watching();
  // Twenty at a time may take long on a machine that does other things too.
  await using scene = await startWatchedScene({ watch, metadata, timeoutMillis: 20_000 });
  const streams = [];
  for (let batch = 0; batch < 10; batch++)
    streams.push(...(await Promise.all(Array.from({ length: 20 }, () => openStream(scene)))));
  expect(live.size).toBe(200);
  const { body } = await adminGet(scene.adminSocket, '/stats?filter=cluster.agent_(authz|streams).upstream_rq_active');
  expect(body).toContain('agent_authz.upstream_rq_active: 0');
  expect(body).toContain('agent_streams.upstream_rq_active: 200');
  revoke();
  expect(new Set(await Promise.all(streams.map(({ ended }) => ended)))).toEqual(new Set(['broken']));
  await vi.waitFor(() => expect(live.size).toBe(0));
});
