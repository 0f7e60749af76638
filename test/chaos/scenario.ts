// One fault: traffic before it, the fault, its end, and traffic behind it. What a scenario sees is held against the invariants here, and
// against what is expected of this fault there.

import { setTimeout as sleep } from 'node:timers/promises';
import { percentiles } from '../bench/percentiles.ts';
import { checkInvariants, type Invariants } from './invariants.ts';
import { epochMillis } from './traffic.ts';
import type { Sent } from './traffic-protocol.ts';
import type { World, WorldKind } from './world.ts';

export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly world: WorldKind;
  run(stage: Stage): Promise<void>;
}

/** A `must` that is not met is a broken run; a `target` is a figure that depends on the machine. */
export interface Expectation {
  readonly kind: 'must' | 'target';
  readonly what: string;
  readonly met: boolean;
  readonly found: string;
}

export interface StageSettings {
  readonly world: World;
  readonly perSecond: number;
  /** Of traffic before the fault, and about as long behind it. */
  readonly seconds: number;
  /** Fewer repetitions where there are many. */
  readonly short: boolean;
  readonly say: (line: string) => void;
}

/** The traffic before the fault was not what it should be: nothing follows from the run. */
export class VoidScenario extends Error {
  override readonly name = 'VoidScenario';
}

export const LEAST_PER_SECOND = 100;
const WARM_UP_SECONDS = 1.5;
/** Share of fresh requests that must have been served before the fault. */
const LEAST_SERVED = 0.8;

export class Stage {
  readonly #settings: StageSettings;
  readonly #firstSent: number;
  readonly expectations: Expectation[] = [];
  startedAt = 0;
  faultAt = Number.POSITIVE_INFINITY;
  mendedAt = Number.POSITIVE_INFINITY;
  /** Of the slowest target, in milliseconds. */
  recoveryMillis: number | undefined;
  invariants: Invariants | undefined;

  constructor(settings: StageSettings) {
    this.#settings = settings;
    this.#firstSent = settings.world.traffic.sent.length;
  }

  get world(): World {
    return this.#settings.world;
  }
  get seconds(): number {
    return this.#settings.seconds;
  }
  get short(): boolean {
    return this.#settings.short;
  }
  /** All that has an answer by now. */
  get sent(): readonly Sent[] {
    return this.world.traffic.sent.slice(this.#firstSent);
  }

  say(line: string): void {
    this.#settings.say(line);
  }

  /** Traffic to all of the ports until {@link settle}, and as much of it before the fault as there has to be. @throws {VoidScenario} */
  async before(ports = this.world.ports): Promise<void> {
    const { perSecond } = this.#settings;
    this.world.traffic.start({ targets: ports, perSecond });
    await this.pass(WARM_UP_SECONDS);
    this.startedAt = epochMillis();
    await this.pass(this.seconds);
    const until = epochMillis();
    // For the answers to what was sent last.
    await this.pass(0.5);
    const rate = this.between(this.startedAt, until).length / ((until - this.startedAt) / 1000);
    if (rate < LEAST_PER_SECOND) throw new VoidScenario(`${rate.toFixed(0)} requests a second before the fault`);
    const { asked, served } = this.served(this.startedAt, until);
    if (served < asked * LEAST_SERVED)
      throw new VoidScenario(`${served} of ${asked} fresh requests were served before the fault`);
  }

  fault(what: string): void {
    if (this.faultAt === Number.POSITIVE_INFINITY) this.faultAt = epochMillis();
    this.say(`  ${what}`);
  }

  mended(what: string): void {
    this.mendedAt = epochMillis();
    this.say(`  ${what}`);
  }

  async pass(seconds: number): Promise<void> {
    await sleep(seconds * 1000);
  }

  /** Waits for the first allow of each target after the fault was mended, then as long as before it. */
  async after(goalMillis: number, most = 30, targets = this.world.ports.length): Promise<void> {
    const until = epochMillis() + most * 1000;
    const firsts = () =>
      Array.from({ length: targets }, (_, at) =>
        this.sent.find(({ status, target, sentAt }) => status === 200 && target === at && sentAt >= this.mendedAt),
      );
    while (epochMillis() < until && firsts().includes(undefined)) await sleep(50);
    const found = firsts();
    const millis = found.map((one) => (one ? one.sentAt + one.tookMillis - this.mendedAt : Number.POSITIVE_INFINITY));
    this.recoveryMillis = Math.max(...millis);
    this.target('first allow of every replica afterwards', this.recoveryMillis, goalMillis, ' ms');
    const lastOf = (at: number) => this.sent.filter(({ target, kind }) => target === at && kind === 'fresh').slice(-30);
    const late = found.flatMap((one, at) => (one === undefined ? [`replica ${at + 1}: ${reasonsOf(lastOf(at))}`] : []));
    this.must('it recovers', late.length === 0, late.join('; ') || `${(this.recoveryMillis / 1000).toFixed(1)} s`);
    await this.pass(Math.min(3, this.seconds));
  }

  /** No more traffic; the invariants over all that the world has seen. */
  async settle(): Promise<void> {
    const { traffic, revokedAt, replicas, kind } = this.world;
    await traffic.end();
    const storeFiles = replicas.map(({ storeFile }) => storeFile);
    this.invariants = checkInvariants({ ...traffic, revokedAt, storeFiles, ownEnvoys: kind !== 'shared' });
  }

  must(what: string, met: boolean, found: string): void {
    this.expectations.push({ kind: 'must', what, met, found });
  }

  target(what: string, value: number, most: number, unit: string): void {
    const shown = Number.isFinite(value) ? value.toFixed(unit === ' %' ? 2 : 0) : 'never';
    this.expectations.push({ kind: 'target', what, met: value <= most, found: `${shown}${unit} (target ${most}${unit})` });
  }

  /** Nothing that was sent in this time may have been allowed, by one target or any. */
  mustDenyAll(what: string, from: number, to: number, target?: number): void {
    const within = this.between(from, to).filter((one) => target === undefined || one.target === target);
    const allowed = within.filter(({ status }) => status === 200);
    this.must(what, allowed.length === 0 && within.length > 0, `${allowed.length} of ${within.length} allowed`);
  }

  between(from: number, to: number): Sent[] {
    return this.sent.filter(({ sentAt }) => sentAt >= from && sentAt < to);
  }

  /** Fresh requests of agents that were not revoked when they were sent, each counted once: served when a copy of it was. */
  served(from: number, to: number, target?: number): { asked: number; served: number; why: string } {
    const { revokedAt } = this.world;
    const allowed = new Set(this.sent.filter(({ status }) => status === 200).map(({ id }) => id));
    const isFresh = ({ kind, agent, sentAt, target: its }: Sent) =>
      kind === 'fresh' &&
      sentAt < (revokedAt.get(agent) ?? Number.POSITIVE_INFINITY) - REVOKING_MILLIS &&
      its === (target ?? its);
    const fresh = this.between(from, to).filter(isFresh);
    const failed = fresh.filter(({ id }) => !allowed.has(id));
    return {
      asked: fresh.length,
      served: fresh.length - failed.length,
      why: failed.length === 0 ? '' : `: ${reasonsOf(failed)}`,
    };
  }

  /** p99 of the time that denials with this status took. */
  denialMillis(status: number, from: number, to: number): number {
    return percentiles(this.between(from, to).flatMap((one) => (one.status === status ? [one.tookMillis] : []))).p99;
  }
}

/** Before a revocation is known to be in force everywhere it may be in force here and there. */
const REVOKING_MILLIS = 15_000;

function reasonsOf(sent: readonly Sent[]): string {
  const byReason = Map.groupBy(sent, ({ status, reason }) => `${status || 'no answer'} ${reason ?? ''}`.trim());
  return [...byReason].map(([reason, all]) => `${all.length} with ${reason}`).join(', ');
}
