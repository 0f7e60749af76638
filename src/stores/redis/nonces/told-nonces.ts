// What a replica tells the others: the names of the nonces that it took, in numbered batches of one stream. The numbers have no
// gaps, and something is told every second, so that whoever listens notices what was removed.

import type { FleetMac } from '../mac.ts';

export interface ToldBatch {
  /** Of one start of one replica. */
  readonly replica: string;
  /** From 1. */
  readonly number: number;
  readonly names: readonly string[];
  /** Every other replica is asked to say something now. */
  readonly calls: boolean;
}

/** base64url of 32 bytes. */
const NAME_LENGTH = 43;
const FORM = /^(?<replica>[A-Za-z0-9_-]{16})\.(?<number>\d{1,15})\.(?<names>[A-Za-z0-9_-]*)(?<calls>\??)$/;

export function sealBatch(mac: FleetMac, key: string, { replica, number, names, calls }: ToldBatch): string {
  return mac.seal(key, `${replica}.${number}.${names.join('')}${calls ? '?' : ''}`);
}

/** `undefined` for what the fleet did not say. */
export function openBatch(mac: FleetMac, key: string, sealed: string): ToldBatch | undefined {
  const { replica, number, names, calls } = FORM.exec(mac.open(key, sealed) ?? '')?.groups ?? {};
  if (replica === undefined || number === undefined || names === undefined) return undefined;
  const count = Math.floor(names.length / NAME_LENGTH);
  return {
    replica,
    number: Number(number),
    names: Array.from({ length: count }, (_, at) => names.slice(at * NAME_LENGTH, (at + 1) * NAME_LENGTH)),
    calls: calls === '?',
  };
}

export interface TellerSettings {
  readonly replica: string;
  /** @throws when it may not be there: the same batch is told again then. */
  readonly send: (batch: ToldBatch) => Promise<void>;
}

const GATHER_MILLIS = 2;
const BEAT_MILLIS = 1000;
const RETRY_MILLIS = 100;
const MOST_IN_BATCH = 500;
/** Beyond that a gap is left, which makes the others refuse what was signed until then. */
const MOST_WAITING = 100_000;

export class NonceTeller {
  readonly #settings: TellerSettings;
  #waiting: string[] = [];
  #unsent: ToldBatch | undefined;
  #number = 0;
  /** Number of a batch that is told soon although there may be nothing to tell. */
  #wanted = 0;
  #calls = false;
  #timer: NodeJS.Timeout | undefined;
  #sending = false;
  #stopped = false;
  readonly #beat: NodeJS.Timeout;

  constructor(settings: TellerSettings) {
    this.#settings = settings;
    this.#beat = setInterval(() => void this.#send(), BEAT_MILLIS);
    this.beat();
  }

  /** Of the newest batch that was told, or is being told. */
  get number(): number {
    return this.#number;
  }

  tell(name: string): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#waiting = [];
      this.#number++;
    }
    this.#waiting.push(name);
    this.#soon(GATHER_MILLIS);
  }

  /** Something new is told at once, if only that there is nothing to tell; what is being told may be of before. */
  beat(): void {
    this.#wanted = this.#number + 1;
    void this.#send();
  }

  /** The same, and every other replica is asked to do so too. */
  call(): void {
    this.#calls = true;
    this.beat();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#beat);
    clearTimeout(this.#timer);
  }

  #soon(millis: number): void {
    if (this.#timer !== undefined || this.#sending || this.#stopped) return;
    this.#timer = setTimeout(() => void this.#send(), millis);
  }

  async #send(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#sending || this.#stopped) return;
    this.#sending = true;
    const { replica, send } = this.#settings;
    // A batch that may have arrived is told again as it was: whoever has it knows it by its number.
    if (this.#unsent === undefined) {
      const names = this.#waiting.splice(0, MOST_IN_BATCH);
      this.#unsent = { replica, number: ++this.#number, names, calls: this.#calls };
      this.#calls = false;
    }
    let isSent = false;
    try {
      await send(this.#unsent);
      this.#unsent = undefined;
      isSent = true;
    } catch {
      // Said by the connection already.
    }
    this.#sending = false;
    const isMore = this.#waiting.length > 0 || this.#number < this.#wanted;
    if (!isSent || isMore) this.#soon(isSent ? GATHER_MILLIS : RETRY_MILLIS);
  }
}
