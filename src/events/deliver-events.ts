// Tells one receiver of every restriction, in order, at least once (RFC 8935). What is still to be told is what stands in the store
// behind the receiver's position, so that nothing is held in memory and nothing is lost with the program.

import { hash } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { RestrictionStore } from '../restrictions/restriction-store.ts';
import { reopenRestriction } from '../restrictions/verify-restriction.ts';
import type { Posted } from '../vault/fetch/guarded-post.ts';
import type { DeliveryPosition, DeliveryPositions } from './delivery-positions.ts';
import { eventOfRestriction, type SecurityEvent } from './event-of-restriction.ts';
import { type EventSigner, signEvent } from './sign-event.ts';

export interface DeliverySettings {
  readonly receiver: { readonly name: string; readonly audience: string; readonly events?: readonly string[] | undefined };
  readonly store: Pick<RestrictionStore, 'after' | 'findById' | 'lastSequence' | 'read' | 'subscribe'>;
  readonly positions: DeliveryPositions;
  readonly signer: EventSigner;
  /** DID under which events of others become restrictions here. */
  readonly own: string;
  /** Rejects when there is no answer. */
  readonly push: (compact: string) => Promise<Posted>;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Told once for each change. */
  readonly onState: (state: 'delivering' | 'waiting', why: unknown) => void;
  /** The receiver does not want this one, which is given up. */
  readonly onRefused: (refused: { readonly jti: string; readonly err: string; readonly description: string }) => void;
  /** Between attempts, doubled each time. Default 1 s to 5 min. */
  readonly pauseMillis?: { readonly least: number; readonly most: number };
}

const AT_A_TIME = 50;

export interface Delivery {
  /** What is under way is told again after the next start. */
  stop(): void;
}

export function deliverEvents(settings: DeliverySettings): Delivery {
  const running = new RunningDelivery(settings);
  void running.run();
  return running;
}

class RunningDelivery implements Delivery {
  readonly #settings: DeliverySettings;
  readonly #ended = new AbortController();
  readonly #unsubscribe: () => void;
  #position: DeliveryPosition;
  #wake: () => void = () => {};
  #state: 'delivering' | 'waiting' | undefined;

  constructor(settings: DeliverySettings) {
    this.#settings = settings;
    this.#position = startingAt(settings);
    this.#unsubscribe = settings.store.subscribe(() => this.#wake());
  }

  stop(): void {
    this.#ended.abort();
    this.#unsubscribe();
    this.#wake();
  }

  async run(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      try {
        if (!(await this.#tellSome())) await new Promise<void>((resolve) => (this.#wake = resolve));
      } catch (error) {
        // The store, or the place of the positions: nothing is known of the receiver.
        if (this.#ended.signal.aborted) return;
        this.#tell('waiting', error);
        await this.#pause(this.#pauses().most);
      }
    }
  }

  /** @returns whether there was something; what comes after the look at the store wakes whoever waits. */
  async #tellSome(): Promise<boolean> {
    const { store, positions, receiver, own } = this.#settings;
    const rows = store.after(this.#position.sequence, AT_A_TIME);
    if (rows.length === 0) return false;
    for (const { sequence, compact } of rows) {
      const restriction = reopenRestriction(compact);
      const event = eventOfRestriction(restriction, own);
      const wanted = receiver.events?.includes(event.type) ?? true;
      if (wanted && !(await this.#deliver(event, restriction.id))) return true;
      this.#position = { sequence, id: restriction.id };
      if (wanted) positions.advance(receiver.name, this.#position);
    }
    positions.advance(receiver.name, this.#position);
    await nextTurn();
    return true;
  }

  /** @returns whether the receiver has it, or does not want it; not when the delivery was stopped */
  async #deliver(event: SecurityEvent, id: string): Promise<boolean> {
    const { receiver, signer, clock, push, onRefused } = this.#settings;
    const { audience } = receiver;
    const jti = hash('sha256', `${audience}\n${id}`, 'base64url');
    const { least, most } = this.#pauses();
    for (let pause = least; !this.#ended.signal.aborted; pause = Math.min(pause * 2, most)) {
      let why: unknown;
      let atLeast = 0;
      try {
        // Signed anew each time: a receiver may refuse one that is hours old.
        const posted = await push(await signEvent(event, { audience, jti, iat: Math.floor(clock() / 1000) }, signer));
        if (this.#ended.signal.aborted) return false;
        const refusal = posted.status === 400 ? readRefusal(posted.body) : undefined;
        if (refusal !== undefined) onRefused({ jti, ...refusal });
        if (posted.status === 202 || refusal !== undefined) {
          this.#tell('delivering', undefined);
          return true;
        }
        atLeast = (posted.retryAfter ?? 0) * 1000;
        why = new Error(`the receiver answered with status ${posted.status} where 202 is needed`);
      } catch (error) {
        if (this.#ended.signal.aborted) return false;
        why = error;
      }
      this.#tell('waiting', why);
      await this.#pause(Math.min(most, Math.max(atLeast, pause * (0.5 + Math.random()))));
    }
    return false;
  }

  #pauses(): { readonly least: number; readonly most: number } {
    return this.#settings.pauseMillis ?? { least: 1000, most: 300_000 };
  }

  #tell(state: 'delivering' | 'waiting', why: unknown): void {
    if (this.#state !== state) this.#settings.onState(state, why);
    this.#state = state;
  }

  async #pause(millis: number): Promise<void> {
    await sleep(millis, undefined, { signal: this.#ended.signal, ref: false }).catch(() => {});
  }
}

/** A receiver that is new is told of what comes. One that was told of something that is not there any more is told everything. */
function startingAt({ receiver, store, positions }: DeliverySettings): DeliveryPosition {
  const kept = positions.position(receiver.name);
  if (kept === undefined) {
    const sequence = store.lastSequence();
    const start = { sequence, id: store.read(sequence)?.id ?? '' };
    positions.begin(receiver.name, start);
    return start;
  }
  if (kept.id === '' || store.read(kept.sequence)?.id === kept.id) return kept;
  return { sequence: store.findById(kept.id)?.sequence ?? 0, id: kept.id };
}

/** About this event, and by one who reads events; what is wrong with our credential is not the event's fault. */
function readRefusal(body: Buffer): { err: string; description: string } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return undefined;
  }
  const { err, description } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  if (typeof err !== 'string' || err === 'authentication_failed') return undefined;
  return { err: err.slice(0, 100), description: typeof description === 'string' ? description.slice(0, 500) : '' };
}
