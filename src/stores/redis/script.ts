// A script that runs in Redis as one step, known there by its digest: its text goes over only where it is not known yet.

import { createHash } from 'node:crypto';
import type { RedisClient } from './client-options.ts';

export class Script {
  readonly #text: string;
  readonly #digest: string;

  constructor(text: string) {
    this.#text = text;
    this.#digest = createHash('sha1').update(text).digest('hex');
  }

  /** @param keys all of one slot */
  async run(client: RedisClient, keys: readonly string[], values: readonly (string | number)[]): Promise<unknown> {
    try {
      return await client.evalsha(this.#digest, keys.length, ...keys, ...values);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return client.eval(this.#text, keys.length, ...keys, ...values);
    }
  }
}
