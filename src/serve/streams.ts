// The responses that run through a gateway, wired: what comes into force ends those it concerns, and what was ended is recorded.

import type { Logger } from 'pino';
import { writeCutRecord } from '../audit/cut-record.ts';
import { type CutStream, LiveStreams } from '../streams/live-streams.ts';
import type { GatewayRestrictions } from './restrictions.ts';

export interface WatchedStreamsSettings {
  readonly restrictions: Pick<GatewayRestrictions, 'inForce' | 'subscribe'>;
  readonly appendRecord: (record: string) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly log: Logger;
}

export interface WatchedStreams {
  readonly live: LiveStreams;
  /** Ends what still runs; resolves when what was cut is recorded. */
  stop(): Promise<void>;
}

/** Records that wait for the disk at a time: the decisions of others wait for it too. */
const MOST_AT_ONCE = 1000;

export function watchStreams({ restrictions, appendRecord, clock, log }: WatchedStreamsSettings): WatchedStreams {
  const waiting: string[] = [];
  let writing: Promise<void> | undefined;
  const write = async () => {
    while (waiting.length > 0) {
      const records = waiting.splice(0, MOST_AT_ONCE);
      const written = await Promise.allSettled(records.map(appendRecord));
      // They ran and they are cut, whether or not the disk can say so.
      for (const [at, { status }] of written.entries())
        if (status === 'rejected') log.error({ record: JSON.parse(records[at] ?? '{}') }, 'a cut is not recorded');
    }
    writing = undefined;
  };
  const onCut = (cut: CutStream) => {
    const { decisionId, chain, reason, restriction } = cut;
    log.info({ decisionId, reason, restriction, agent: chain.links.at(-1)?.agent }, 'cut');
    waiting.push(writeCutRecord(cut, clock()));
    writing ??= write();
  };
  const live = new LiveStreams({ inForce: restrictions.inForce, clock, onCut });
  const unsubscribe = restrictions.subscribe(
    ({ effect, target }) => {
      if (effect === 'revoke') live.restricted(target);
    },
    () => live.lookAtAll(),
  );
  return {
    live,
    stop: async () => {
      unsubscribe();
      live.close();
      await writing;
    },
  };
}
