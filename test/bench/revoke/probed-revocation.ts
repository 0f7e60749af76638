// One revocation while requests of its target and of a descendant keep coming at every gateway, signed before, one every little while.

import type { SigningCredentials } from '../../../src/sign/sign-request.ts';
import { CHAT_PATH, chatBody } from '../credentials.ts';
import { VoidRun } from '../load.ts';
import { monotonic } from '../monotonic.ts';
import { signedRequest } from '../signed-request.ts';
import type { WireAnswer, WirePool } from '../wire-pool.ts';
import type { RevokeWorld } from './revoke-world.ts';
import { type Kind, makeTarget } from './targets.ts';

/** Milliseconds. */
export interface ProbedRevocation {
  readonly kind: Kind;
  /** From the sending of the revocation until the last request that was allowed reached the provider; 0 for none after it. */
  readonly lastAllow: number;
  /** The same until the last of them had been sent, and until the last answer of the provider came back. */
  readonly lastSent: number;
  readonly lastAnswer: number;
  /** From the sending of the revocation until it was said to be in force everywhere. */
  readonly acknowledged: number;
  /** From there on until a request that was on its way before, and allowed, reached the provider; negative for none. */
  readonly straggler: number;
  readonly probes: number;
  /** Sent from the acknowledgement on; all of them were denied. */
  readonly probesAfter: number;
}

/** A request that was sent after the acknowledgement was allowed: nothing else matters then. */
export class AllowedAfterwards extends Error {
  override readonly name = 'AllowedAfterwards';
}

const BEFORE_MILLIS = 40;
const AFTER_MILLIS = 60;
const LIFETIME_SECONDS = 60;
/** Signed before a round, so that it does not cost time within it; more are as they are needed. */
const SIGNED_BEFORE = 90;

/** Of `revoked`, as src/reason.ts has it. */
const REVOKED = 401;
/** Allowed, and ended before the provider's answer came back; or not judged at all, which is void after the acknowledgement. */
const CUT = 503;

interface Probe {
  readonly gateway: number;
  readonly who: 'target' | 'descendant';
  readonly request: Buffer;
}

type Probed = Omit<Probe, 'request'> & WireAnswer;

/**
 * @param everyMillis between two requests
 * @throws {AllowedAfterwards}, or {VoidRun} where an answer is neither what was to come before nor after
 */
export async function probeRevocation(
  world: RevokeWorld,
  pools: readonly WirePool[],
  kind: Kind,
  round: number,
  everyMillis: number,
): Promise<ProbedRevocation> {
  const { what, own, descendant } = await makeTarget(world.root, kind, `bench-${kind}-${round}`);
  const sign = (credentials: SigningCredentials) =>
    signedRequest({ path: CHAT_PATH, body: chatBody(512) }, credentials, LIFETIME_SECONDS);
  const probe = (at: number): Probe => {
    // Each gateway gets both of them in turn.
    const [gateway, isOwn] = [Math.floor(at / 2) % pools.length, at % 2 === 0];
    return { gateway, who: isOwn ? 'target' : 'descendant', request: sign(isOwn ? own : descendant) };
  };
  const send = ({ request, ...rest }: Probe): Promise<Probed> => {
    const sending = (async () => ({ ...rest, ...((await pools[rest.gateway]?.send(request)) as WireAnswer) }))();
    // Those that fail are heard of when all are waited for.
    sending.catch(() => {});
    return sending;
  };
  for (let at = 0; at < 2 * pools.length; at++) {
    const { status, who } = await send(probe(at));
    if (status !== 200) throw new VoidRun(`the ${who} of a revocation by ${kind} was answered with ${status} before it`);
  }
  const signed = Array.from({ length: SIGNED_BEFORE }, (_, at) => probe(at));

  const sent: Promise<Probed>[] = [];
  let timer: NodeJS.Timeout | undefined;
  const startedAt = monotonic();
  const tick = () => {
    while (startedAt + sent.length * everyMillis <= monotonic()) sent.push(send(signed[sent.length] ?? probe(sent.length)));
    timer = setTimeout(tick, Math.max(0, startedAt + sent.length * everyMillis - monotonic()));
  };
  tick();
  await pause(BEFORE_MILLIS);
  const revoked = await world.api.revoke(what).finally(() => setTimeout(() => clearTimeout(timer), AFTER_MILLIS));
  await pause(AFTER_MILLIS + everyMillis);
  return judge(await Promise.all(sent), kind, revoked);
}

function judge(
  answers: readonly Probed[],
  kind: Kind,
  { sentAt, acknowledgedAt }: { sentAt: number; acknowledgedAt: number },
): ProbedRevocation {
  const odd = answers.find(
    ({ status, sentAt: at }) => status !== 200 && status !== REVOKED && (status !== CUT || at > acknowledgedAt),
  );
  if (odd) throw new VoidRun(`the ${odd.who} of a revocation by ${kind} was answered with ${odd.status}`);
  const early = answers.find((answer) => answer.status !== 200 && answer.answeredAt < sentAt);
  if (early) throw new VoidRun(`the ${early.who} of a revocation by ${kind} was denied before it`);
  const after = answers.filter((answer) => answer.sentAt > acknowledgedAt);
  const wrong = after.find(({ status }) => status === 200);
  if (wrong) {
    const late = (wrong.sentAt - acknowledgedAt).toFixed(2);
    throw new AllowedAfterwards(
      `the ${wrong.who} of a revocation by ${kind} was allowed at gateway ${wrong.gateway}, ${late} ms after its acknowledgement`,
    );
  }
  const allowed = answers.filter(({ status }) => status !== REVOKED);
  const latest = (of: (answer: Probed) => number) => Math.max(...allowed.map(of));
  // Of one that was cut the provider's answer did not come, which says when it arrived.
  const arrivedAt = latest((answer) => answer.arrivedAt ?? answer.answeredAt);
  return {
    kind,
    lastAllow: Math.max(0, arrivedAt - sentAt),
    lastSent: Math.max(0, latest((answer) => answer.sentAt) - sentAt),
    lastAnswer: Math.max(0, latest((answer) => (answer.status === 200 ? answer.answeredAt : 0)) - sentAt),
    acknowledged: acknowledgedAt - sentAt,
    straggler: arrivedAt - acknowledgedAt,
    probes: answers.length,
    probesAfter: after.length,
  };
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
