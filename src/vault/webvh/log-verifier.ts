// Verifies logs off the event loop, one at a time, each within a time limit. A thread is replaced by a fresh one after so many
// logs, because the library keeps every one that it read, and at once when it crashes or does not come to an end.

import { UnavailableDid } from '../did-document.ts';
import type { FromVerifier } from './log-verifier-protocol.ts';
import type { LogLimits } from './parse-log.ts';
import { VersionNotFound } from './select-version.ts';
import { InvalidLog, type VerifiedLog } from './verified-log.ts';
import { VerifierThread } from './verifier-thread.ts';
import type { VerifyRequest } from './verify-log.ts';

export interface LogVerifierSettings extends LogLimits {
  /** After so many logs, or characters in them, a fresh thread takes over. */
  readonly logsPerThread: number;
  readonly charactersPerThread: number;
  /** Milliseconds that one log may take, counted from when it is its turn. */
  readonly timeLimitMillis: number;
  /** Most logs that may wait for their turn. */
  readonly mostWaiting: number;
}

/** {@link LogVerifierSettings} as they are unless said otherwise. */
export const LOG_VERIFIER_DEFAULTS: LogVerifierSettings = {
  maxBytes: 1 << 20,
  maxEntries: 1000,
  logsPerThread: 2000,
  charactersPerThread: 1 << 24,
  timeLimitMillis: 2000,
  mostWaiting: 1000,
};

/** What is to be verified; limits that are not given are those of the verifier. */
export type LogToVerify = Omit<VerifyRequest, keyof LogLimits> & Partial<LogLimits>;

/** More logs wait to be verified than could be in good time. */
export class Overloaded extends UnavailableDid {}

interface Job {
  readonly request: VerifyRequest;
  readonly resolve: (log: VerifiedLog) => void;
  readonly reject: (error: Error) => void;
}

export class LogVerifier {
  readonly #settings: LogVerifierSettings;
  readonly #waiting: Job[] = [];
  #working: { readonly job: Job; readonly limit: NodeJS.Timeout } | undefined;
  #thread: VerifierThread | undefined;
  /** Takes over when it has started. */
  #successor: VerifierThread | undefined;
  #closed = false;

  private constructor(settings: LogVerifierSettings) {
    this.#settings = settings;
  }

  /** No thread runs before there is something to verify. None keeps the program running unless somebody waits for it. */
  static start(settings: Partial<LogVerifierSettings> = {}): LogVerifier {
    return new LogVerifier({ ...LOG_VERIFIER_DEFAULTS, ...settings });
  }

  /**
   * The promise rejects with {@link InvalidLog} or {@link VersionNotFound}; with {@link UnavailableDid} when no conclusion was
   * reached: {@link Overloaded}, out of time, or the thread has crashed.
   */
  verify(request: LogToVerify): Promise<VerifiedLog> {
    const { maxBytes, maxEntries, mostWaiting } = this.#settings;
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new UnavailableDid('the verifier of logs has been closed'));
      if (this.#waiting.length >= mostWaiting) return reject(new Overloaded('too many logs wait to be verified'));
      this.#waiting.push({ request: { maxBytes, maxEntries, ...request }, resolve, reject });
      this.#next();
    });
  }

  /** Rejects what waits. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#settle()?.reject(new UnavailableDid('the verifier of logs has been closed'));
    this.#rejectWaiting('the verifier of logs has been closed');
    await Promise.all([this.#thread?.end(), this.#successor?.end()]);
  }

  #next(): void {
    if (this.#closed || this.#working !== undefined) return;
    if (this.#successor?.ready || this.#thread === undefined) this.#succeed();
    const wanted = this.#waiting.length > 0;
    if (wanted) this.#thread ??= this.#startThread();
    this.#thread?.hold(wanted);
    if (!wanted || this.#thread === undefined || !this.#thread.ready) return;
    const job = this.#waiting.shift();
    if (job === undefined) return;
    const limit = setTimeout(() => this.#giveUp('the log could not be verified in time'), this.#settings.timeLimitMillis);
    this.#working = { job, limit };
    this.#thread.ask(job.request, (message) => this.#answer(message));
  }

  #answer(message: FromVerifier): void {
    const job = this.#settle();
    if (job !== undefined) conclude(job, message);
    const { logsPerThread, charactersPerThread } = this.#settings;
    const thread = this.#thread;
    if (thread !== undefined && (thread.logs >= logsPerThread || thread.characters >= charactersPerThread))
      this.#successor ??= this.#startThread();
    this.#next();
  }

  #startThread(): VerifierThread {
    return new VerifierThread({
      onReady: () => this.#next(),
      onEnd: (thread, cause) => {
        if (thread === this.#successor) this.#successor = undefined;
        if (thread !== this.#thread) return;
        this.#thread = undefined;
        this.#settle()?.reject(new UnavailableDid(`the verifier of logs has crashed: ${cause}`));
        // One that never started will not start the next time either, so nobody is kept waiting for that.
        if (!thread.ready) this.#rejectWaiting(`the verifier of logs did not start: ${cause}`);
        this.#next();
      },
    });
  }

  #succeed(): void {
    void this.#thread?.end();
    this.#thread = this.#successor;
    this.#successor = undefined;
  }

  #giveUp(cause: string): void {
    void this.#thread?.end();
    this.#thread = undefined;
    this.#settle()?.reject(new UnavailableDid(cause));
    this.#next();
  }

  #settle(): Job | undefined {
    const working = this.#working;
    this.#working = undefined;
    clearTimeout(working?.limit);
    return working?.job;
  }

  #rejectWaiting(cause: string): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new UnavailableDid(cause));
  }
}

function conclude({ resolve, reject }: Job, message: FromVerifier): void {
  if ('log' in message) resolve(message.log);
  else if ('invalid' in message) reject(new (message.notFound ? VersionNotFound : InvalidLog)(message.invalid));
  else if ('failed' in message) reject(new UnavailableDid(`the log could not be verified: ${message.failed}`));
}
