// Follows the news of a vault, so that a rotation or deactivation is in force here as soon as it is there. The news are hints:
// they make a gateway ask again, and what it then believes it verifies itself. While they are missing, the `ttl` bounds what is kept.

import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

const newsSchema = z.object({
  epoch: z.string().max(200),
  last: z.int().min(0),
  changes: z.array(z.object({ sequence: z.int().min(0), did: z.string().max(5000) })).max(10_000),
});

export interface FollowSettings {
  /** `https://vault.example` */
  readonly origin: string;
  /** Fetches below the origin; takes as long as the vault holds the answer back. */
  readonly fetch: (url: URL) => Promise<Buffer>;
  readonly onChanged: (did: string) => void;
  /** What happened meanwhile is not known: anything of this vault may have changed. */
  readonly onLost: () => void;
  readonly onState: (state: 'following' | 'interrupted', error: unknown) => void;
}

/** Seconds that the vault may hold an answer back. */
const WAIT_SECONDS = 20;
const RETRY_MILLIS = { least: 200, most: 500 };

/** @returns to be called to end it */
export function followChanges(settings: FollowSettings): () => void {
  const ended = new AbortController();
  void follow(settings, ended.signal);
  return () => ended.abort();
}

async function follow({ origin, fetch, onChanged, onLost, onState }: FollowSettings, ended: AbortSignal): Promise<void> {
  let position: { epoch: string; after: number } | undefined;
  let state: 'following' | 'interrupted' | undefined;
  let pause = RETRY_MILLIS.least;
  while (!ended.aborted) {
    try {
      const url = new URL('/v1/changes', origin);
      // The first question is answered at once: what was there before is asked for when it is needed.
      if (position !== undefined) {
        url.search = new URLSearchParams({
          after: String(position.after),
          epoch: position.epoch,
          wait: String(WAIT_SECONDS),
        }).toString();
      }
      const news = newsSchema.parse(JSON.parse((await fetch(url)).toString()));
      if (ended.aborted) return;
      if (position === undefined || position.epoch !== news.epoch || news.last < position.after) onLost();
      else for (const { did } of news.changes) onChanged(did);
      const told = news.changes.at(-1)?.sequence;
      position = { epoch: news.epoch, after: position?.epoch === news.epoch ? (told ?? news.last) : news.last };
      if (state !== 'following') onState('following', undefined);
      state = 'following';
      pause = RETRY_MILLIS.least;
    } catch (error) {
      if (state !== 'interrupted') onState('interrupted', error);
      state = 'interrupted';
      await sleep(pause * (0.5 + Math.random()), undefined, { signal: ended, ref: false }).catch(() => {});
      pause = Math.min(pause * 2, RETRY_MILLIS.most);
    }
  }
}
