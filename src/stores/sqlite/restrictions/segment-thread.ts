// The thread that cuts a feed into segments: reading and compressing a million restrictions takes seconds.

import { hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { packSegment, type SegmentRow } from '../../../restrictions/feed-segment.ts';
import { openRestrictionsForReading } from './restriction-database.ts';

export interface MadeSegment {
  readonly to: number;
  /** What {@link nextHead} makes of everything up to there. */
  readonly head: string;
  readonly bytes: Uint8Array;
  /** Base64url, of the bytes. */
  readonly sha256: string;
}

export type FromSegmentThread = { readonly made: MadeSegment | undefined } | { readonly failed: string };

/** Not larger, so that a gateway takes one over in a few milliseconds. */
export const SEGMENT_ROWS = 4096;
const SEGMENT_CHARACTERS = 4 * 1024 * 1024;

if (parentPort !== null) serve(parentPort);

function serve(port: NonNullable<typeof parentPort>): void {
  const database = openRestrictionsForReading(String(workerData));
  const select = database.prepare(
    `SELECT sequence, id, jws, head, entry, before FROM restrictions LEFT JOIN revocations USING (sequence)
     WHERE sequence > ? ORDER BY sequence LIMIT ${SEGMENT_ROWS}`,
  );
  port.on('message', (after: number) => {
    try {
      port.postMessage({ made: make(after) } satisfies FromSegmentThread);
    } catch (error) {
      port.postMessage({ failed: error instanceof Error ? error.message : String(error) } satisfies FromSegmentThread);
    }
  });

  /** `undefined` while there are not enough for a whole one: a segment stays as it is once it was made. */
  function make(after: number): MadeSegment | undefined {
    const rows: SegmentRow[] = [];
    let [to, head, characters] = [after, '', 0];
    for (const { sequence, id, jws, head: its, entry, before } of select.iterate(after)) {
      const revokes = entry instanceof Uint8Array ? { entry, before: Number(before) } : undefined;
      rows.push({ id: String(id), compact: String(jws), revokes });
      [to, head, characters] = [Number(sequence), String(its), characters + String(jws).length];
      if (characters >= SEGMENT_CHARACTERS) break;
    }
    if (rows.length < SEGMENT_ROWS && characters < SEGMENT_CHARACTERS) return undefined;
    const bytes = packSegment(rows);
    return { to, head, bytes, sha256: hash('sha256', bytes, 'base64url') };
  }
}
