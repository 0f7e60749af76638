// The fence of a bucket of nonces: since when, and of which run of which server, the bucket is known to hold every nonce. It is a
// value of the fleet's own at a key of the bucket's, so that it is lost whenever the nonces are.

import { randomBytes } from 'node:crypto';
import type { FleetMac } from '../mac.ts';

export interface Epoch {
  readonly id: string;
  /** Seconds since the epoch: what was signed before may have been consumed without the bucket knowing. */
  readonly bornAt: number;
  readonly runId: string;
  /** As it stands in Redis. */
  readonly sealed: string;
}

const FORM = /^(?<id>[A-Za-z0-9_-]{16})\.(?<bornAt>\d{1,12})\.(?<runId>[0-9a-f]{40})$/;

export function newEpoch(mac: FleetMac, key: string, bornAt: number, runId: string): Epoch {
  const id = randomBytes(12).toString('base64url');
  return { id, bornAt, runId, sealed: mac.seal(key, `${id}.${bornAt}.${runId}`) };
}

/** `undefined` for one that is missing, or that the fleet did not make for this key. */
export function openEpoch(mac: FleetMac, key: string, sealed: string): Epoch | undefined {
  const { id, bornAt, runId } = FORM.exec(mac.open(key, sealed) ?? '')?.groups ?? {};
  return id === undefined || runId === undefined ? undefined : { id, bornAt: Number(bornAt), runId, sealed };
}
