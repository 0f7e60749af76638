// Numbers of paths and queries.

import { z } from 'zod';

/** A number of a path or query, in digits and in no other spelling. */
export function digits(least: number, most = Number.MAX_SAFE_INTEGER) {
  return z.preprocess(
    (text) => (typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : text),
    z.int('must be digits').min(least).max(most),
  );
}
