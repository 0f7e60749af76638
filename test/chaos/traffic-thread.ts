// The traffic as a thread of its own: signs and sends at a fixed rate, whether or not anyone answers, and is the upstream too.
// Requests are signed when they are due, since one that was signed before a fence would be refused behind it.

import { randomBytes, randomInt } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { type Attempt, attempt, chat, parameters, toWire } from '../attacks/attacker.ts';
import { http1Bytes, sendBytes } from '../attacks/raw-http.ts';
import type { Arrival, Flow, FromTraffic, Kind, Sent, ToTraffic, TrafficAgent, TrafficSettings } from './traffic-protocol.ts';

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread');
const { agents, stranger } = workerData as TrafficSettings;
const say = (message: FromTraffic) => port.postMessage(message);

const GIVE_UP_MILLIS = 8000;
const REPORT_MILLIS = 100;
/** Fresh requests that are kept to be sent again, some of them a minute later. */
const MOST_KEPT = 8000;
/** Share of each kind in hundredths; the rest is fresh. */
const SHARES: readonly (readonly [Kind, number])[] = [
  ['replay', 20],
  ['tampered', 6],
  ['expired', 5],
  ['aged', 4],
  ['early', 4],
  ['stranger', 5],
];
const SHIFT_SECONDS = 600;

interface Prepared {
  readonly id: string;
  readonly agent: TrafficAgent;
  readonly bytes: Buffer;
  readonly target: number;
}

const epochMillis = () => performance.timeOrigin + performance.now();
const kept: Prepared[] = [];
let sent: Sent[] = [];
let arrivals: Arrival[] = [];
let underWay = 0;
let flow: Flow | undefined;
let startedAt = 0;
let planned = 0;
let timer: NodeJS.Timeout | undefined;

const upstream = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  request.on('end', () => {
    const id = /"content":"([^"]*)"/.exec(body)?.[1] ?? '';
    const trace = String(request.headers.traceparent).split('-')[1] ?? '';
    arrivals.push({ id, decisionId: trace.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'), at: epochMillis() });
    response.setHeader('content-type', 'application/json').end('{"object":"chat.completion","choices":[]}');
  });
});
upstream.listen(0, '127.0.0.1', () => say({ upstreamPort: (upstream.address() as AddressInfo).port }));

port.on('message', (message: ToTraffic) => {
  clearTimeout(timer);
  if ('end' in message) return void end();
  flow = message.flow;
  startedAt = performance.now();
  planned = 0;
  tick();
});
setInterval(report, REPORT_MILLIS);

function tick(): void {
  if (flow === undefined) return;
  const interval = 1000 / flow.perSecond;
  for (; startedAt + planned * interval <= performance.now(); planned++) sendNext(flow);
  timer = setTimeout(tick, Math.max(0, startedAt + planned * interval - performance.now()));
}

async function end(): Promise<void> {
  flow = undefined;
  while (underWay > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  report();
  say({ ended: true });
}

function report(): void {
  if (sent.length > 0 || arrivals.length > 0) say({ sent, arrivals });
  [sent, arrivals] = [[], []];
}

function sendNext({ targets }: Flow): void {
  const kind = anyKind();
  const target = randomInt(targets.length);
  if (kind === 'replay') {
    sendAgain(targets);
    return;
  }
  const prepared = prepare(kind, target);
  void send(kind, prepared, targets);
  if (kind !== 'fresh') return;
  kept.push(prepared);
  if (kept.length > MOST_KEPT) kept.shift();
}

/** Half of them soon, half of them whenever; one in ten is a fresh one to everyone at the same moment. */
function sendAgain(targets: readonly number[]): void {
  if (kept.length === 0 || randomInt(10) === 0) {
    const prepared = prepare('fresh', 0);
    kept.push(prepared);
    for (let target = 0; target < Math.max(2, targets.length); target++)
      void send(target === 0 ? 'fresh' : 'replay', { ...prepared, target: target % targets.length }, targets);
    return;
  }
  const soon = Math.max(0, kept.length - 100);
  const from = randomInt(2) === 0 ? soon : 0;
  const again = kept[from + randomInt(kept.length - from)];
  if (again === undefined) return;
  const target = randomInt(2) === 0 ? again.target : randomInt(targets.length);
  void send('replay', { ...again, target: target % targets.length }, targets);
}

async function send(kind: Kind, { id, agent, bytes, target }: Prepared, targets: readonly number[]): Promise<void> {
  underWay++;
  const sentAt = epochMillis();
  const { status, body } = await sendBytes(targets[target] ?? 0, bytes, 0, GIVE_UP_MILLIS);
  const reason = status === 200 ? undefined : /"code":"([^"]*)"/.exec(body)?.[1];
  sent.push({ id, kind, agent: agent.name, target, sentAt, tookMillis: epochMillis() - sentAt, status, reason });
  underWay--;
}

function anyKind(): Kind {
  let left = randomInt(100);
  for (const [kind, share] of SHARES) {
    left -= share;
    if (left < 0) return kind;
  }
  return 'fresh';
}

function anyAgent(): TrafficAgent {
  let left = Math.random() * agents.reduce((sum, { weight }) => sum + weight, 0);
  for (const agent of agents) {
    left -= agent.weight;
    if (left < 0) return agent;
  }
  return stranger;
}

function prepare(kind: Kind, target: number): Prepared {
  const agent = kind === 'stranger' ? stranger : anyAgent();
  const { holder, token } = agent;
  const id = randomBytes(16).toString('base64url');
  const off = { aged: -SHIFT_SECONDS, early: SHIFT_SECONDS, expired: -200 }[kind as string] ?? 0;
  const created = Math.floor(Date.now() / 1000) + off;
  const times = { created: `${created}`, expires: `${created + 60}` };
  const signed: Partial<Attempt> = { body: chat(id), parameters: parameters(holder, { ...times, nonce: `"${id}"` }) };
  const wire = toWire(attempt(holder, token, signed));
  // As long as what was signed.
  const body = kind === 'tampered' ? Buffer.from(String(wire.body).replace('gpt-5-mini', 'gpt-5-nano')) : wire.body;
  return { id, agent, bytes: http1Bytes({ ...wire, body }), target };
}
