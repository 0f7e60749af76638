// Requests at a fixed rate to all gateways in turn: good ones, and among them what an attacker sends: a copy at another gateway once
// the first was answered, copies at two gateways at once, a signature that was changed, and a model beyond the grant.

import { parentPort, workerData } from 'node:worker_threads';
import { readPrivateKey } from '../../../src/crypto/private-key.ts';
import { CHAT_PATH, chatBody, MODEL } from '../credentials.ts';
import { monotonic } from '../monotonic.ts';
import { percentiles } from '../percentiles.ts';
import { signedRequest } from '../signed-request.ts';
import { openWirePool } from '../wire-pool.ts';
import type { BackgroundOrder, BackgroundResult } from './background.ts';

const { ports, perSecond, key, chain } = workerData as BackgroundOrder;
const credentials = { key: readPrivateKey(key), chain };
const LIFETIME_SECONDS = 60;
/** What is sent in each ten. */
const TURN = ['good', 'good', 'replay', 'good', 'twins', 'good', 'tampered', 'good', 'beyond', 'good'] as const;
const GOOD_BODY = chatBody(1024);
const BEYOND_BODY = Buffer.from(GOOD_BODY.toString().replace(`"${MODEL}"`, '"gpt-4.1-x"'));

/** One signed request and how often it was allowed. */
interface Signed {
  readonly bytes: Buffer;
  readonly kind: 'good' | 'copied' | 'bad';
  readonly gateway: number;
  allowed: number;
}

const pools = await Promise.all(ports.map((port) => openWirePool(port, 16)));
const all: Signed[] = [];
const latencies: number[] = [];
const late: number[] = [];
const underWay = new Set<Promise<void>>();
let sent = 0;
let attacks = 0;
let lastAnswered: Signed | undefined;

function sign(kind: Signed['kind'], body = GOOD_BODY): Signed {
  const bytes = signedRequest({ path: CHAT_PATH, body }, credentials, LIFETIME_SECONDS);
  const signed: Signed = { bytes, kind, gateway: all.length % pools.length, allowed: 0 };
  all.push(signed);
  return signed;
}

function send(signed: Signed, bytes = signed.bytes, further = 0): void {
  sent++;
  const sending = (async () => {
    const answer = await pools[(signed.gateway + further) % pools.length]?.send(bytes).catch(() => undefined);
    if (answer?.status !== 200) return;
    signed.allowed++;
    if (signed.kind === 'good') latencies.push(answer.answeredAt - answer.sentAt);
    if (signed.kind !== 'bad') lastAnswered = signed;
  })();
  underWay.add(sending);
  sending.finally(() => underWay.delete(sending));
}

function sendNext(what: (typeof TURN)[number]): void {
  if (what !== 'good') attacks++;
  if (what === 'good') send(sign('good'));
  else if (what === 'replay' && lastAnswered) send(lastAnswered, lastAnswered.bytes, 1);
  else if (what === 'tampered') {
    const signed = sign('bad');
    send(signed, tampered(signed.bytes));
  } else if (what === 'beyond') send(sign('bad', BEYOND_BODY));
  else {
    const signed = sign('copied');
    send(signed);
    send(signed, signed.bytes, 1);
  }
}

/** The first character of the signature is another one. */
function tampered(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const name = copy.indexOf('\r\nsignature: ');
  const at = copy.indexOf('=:', name) + 2;
  copy[at] = copy[at] === 0x41 ? 0x42 : 0x41;
  return copy;
}

const startedAt = monotonic();
const interval = 1000 / perSecond;
let timer: NodeJS.Timeout | undefined;
let turns = 0;
tick();

function tick(): void {
  while (startedAt + sent * interval <= monotonic()) {
    late.push(monotonic() - (startedAt + sent * interval));
    sendNext(TURN[turns++ % TURN.length] ?? 'good');
  }
  timer = setTimeout(tick, Math.max(0, startedAt + sent * interval - monotonic()));
}

parentPort?.once('message', async () => {
  clearTimeout(timer);
  const seconds = (monotonic() - startedAt) / 1000;
  await Promise.all(underWay);
  for (const pool of pools) pool.close();
  const good = all.filter(({ kind }) => kind === 'good');
  const { p50, p99 } = percentiles(latencies);
  const result: BackgroundResult = {
    requests: sent,
    perSecond: sent / seconds,
    lateP99Ms: percentiles(late).p99,
    good: { sent: good.length, refused: good.filter(({ allowed }) => allowed === 0).length, p50Ms: p50, p99Ms: p99 },
    attacks,
    wronglyAllowed: all.reduce((sum, { kind, allowed }) => sum + Math.max(0, allowed - (kind === 'bad' ? 0 : 1)), 0),
    neverAllowed: all.filter(({ kind, allowed }) => kind === 'copied' && allowed === 0).length,
  };
  parentPort?.postMessage(result);
});
