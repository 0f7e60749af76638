// A connection to the replicas' Redis. Whoever asks gets an answer or an error soon: at once while there is no connection, at once
// while Redis does not answer, and after a time-out otherwise. So a gateway without its Redis denies, and does so quickly.

import { type ClientSettings, makeClient, type RedisClient } from './client-options.ts';

export class RedisError extends Error {
  override readonly name = 'RedisError';
}

export type ConnectionState = 'connected' | 'lost' | 'slow';

export interface ConnectionSettings extends Omit<ClientSettings, 'anonymous'> {
  /** `slow`: it does not answer in time; `connected` again once it does. */
  readonly onState: (state: ConnectionState, error?: Error) => void;
}

/** Commands without an answer; more are refused, since those before them are late already. */
const MOST_IN_FLIGHT = 5000;
const PROBE_MILLIS = 100;
const BEGIN_AGAIN_MILLIS = 100;
/** At start: somewhat longer than a failover takes. */
const START_MILLIS = 8000;

export class RedisConnection {
  readonly #client: RedisClient;
  readonly #settings: ConnectionSettings;
  #inFlight = 0;
  #state: ConnectionState = 'lost';
  #lastError: Error | undefined;
  #closed = false;

  private constructor(settings: ConnectionSettings) {
    this.#settings = settings;
    this.#client = makeClient(settings);
    this.#client.on('error', (error: Error) => {
      this.#lastError = error;
    });
    this.#client.on('ready', () => this.#enter('connected'));
    this.#client.on('close', () => this.#enter('lost', this.#lastError));
    this.#client.on('end', () => this.#beginAgain());
  }

  /** @throws {RedisError} when there is no connection after some seconds; nothing is left open then. */
  static async open(settings: ConnectionSettings): Promise<RedisConnection> {
    const connection = new RedisConnection(settings);
    const client = connection.#client;
    const ready = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new RedisError('Redis cannot be reached', { cause: connection.#lastError }));
      }, START_MILLIS);
      client.once('ready', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    // It tries again by itself; what the first attempt ran into is in its `error` event too.
    client.connect().catch((error: Error) => {
      connection.#lastError ??= error;
    });
    try {
      await ready;
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  get isConnected(): boolean {
    return this.#state === 'connected';
  }

  /**
   * Sends what `command` asks of the client and waits for the answer.
   * @param timeoutMillis the configuration's by default; commands that block need their own
   * @throws {RedisError} without a connection, and without an answer in time: it may still be carried out then.
   * Redis's own errors as ioredis gives them.
   */
  async run<T>(
    command: (client: RedisClient) => Promise<T>,
    timeoutMillis = this.#settings.configuration.commandTimeoutMillis,
  ): Promise<T> {
    if (this.#state !== 'connected') throw new RedisError(`Redis: ${this.#state}`, { cause: this.#lastError });
    if (this.#inFlight >= MOST_IN_FLIGHT) throw new RedisError('Redis does not keep up');
    this.#inFlight++;
    let timer: NodeJS.Timeout | undefined;
    let isAnswered = false;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        // An answer that came while this program was busy is read first: timers come before sockets.
        setImmediate(() => {
          if (isAnswered) return;
          this.#suspect();
          reject(new RedisError(`Redis did not answer within ${timeoutMillis} ms`));
        });
      }, timeoutMillis);
    });
    try {
      return await Promise.race([command(this.#client), late]);
    } finally {
      isAnswered = true;
      clearTimeout(timer);
      this.#inFlight--;
    }
  }

  /** Ends it at once; whoever still waits gets an error. */
  close(): void {
    this.#closed = true;
    this.#client.disconnect();
  }

  /**
   * ioredis gives up for good when a Sentinel tells of a failover while it asks where the primary is: the subscription of the
   * connection before ends the attempt of this one. Nothing but {@link close} ends this one.
   */
  #beginAgain(): void {
    this.#enter('lost', this.#lastError);
    setTimeout(() => {
      if (this.#closed) return;
      this.#client.connect().catch((error: Error) => {
        this.#lastError = error;
      });
    }, BEGIN_AGAIN_MILLIS).unref();
  }

  #enter(state: ConnectionState, error?: Error): void {
    if (this.#state === state || this.#closed) return;
    this.#state = state;
    this.#settings.onState(state, error);
  }

  /** Until it answers again nothing more is sent: a queue would only make it later. */
  #suspect(): void {
    if (this.#state !== 'connected' || this.#settings.blockMillis > 0) return;
    this.#enter('slow');
    this.#probe();
  }

  #probe(): void {
    if (this.#state !== 'slow' || this.#closed) return;
    this.#client.ping().then(
      () => {
        if (this.#state === 'slow') this.#enter('connected');
      },
      () => void setTimeout(() => this.#probe(), PROBE_MILLIS).unref(),
    );
  }
}
