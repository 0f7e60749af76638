// What every command of an operator works with: its home, and what it takes from outside.

import type { VerifiedLog } from '../vault/webvh/verified-log.ts';
import type { HomeFiles } from './home.ts';
import type { VaultClient } from './vault-client.ts';

export interface LogToVerify {
  /** `undefined` takes the one that the log says it is of. */
  readonly did: string | undefined;
  /** did.jsonl */
  readonly log: string;
  /** did-witness.json */
  readonly witness: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface OperatorTools {
  readonly files: HomeFiles;
  /** The vault at an origin; `ca` names a file with its CA certificates. */
  readonly vaultAt: (origin: string, ca: string | undefined) => Promise<VaultClient>;
  /** @throws {InvalidLog} */
  readonly verifyLog: (log: LogToVerify) => Promise<VerifiedLog>;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly random: (bytes: number) => Buffer;
  /** Told what is done and waited for, a line each. */
  readonly onProgress: (line: string) => void;
  /** Between publishing a key and using it: gateways hear of it meanwhile. */
  readonly settleMillis: number;
}
