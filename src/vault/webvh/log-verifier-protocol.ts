// What the thread that verifies logs and whoever asks it say to each other.

import type { VerifiedLog } from './verified-log.ts';
import type { VerifyRequest } from './verify-log.ts';

/** One at a time: the next is said when the answer was heard. */
export type ToVerifier = VerifyRequest;

export type FromVerifier =
  | { readonly ready: true }
  | { readonly log: VerifiedLog }
  /** The log does not verify, or, with `notFound`, does not have the version that was asked for. */
  | { readonly invalid: string; readonly notFound: boolean }
  /** No conclusion was reached. */
  | { readonly failed: string };
