// Agents registered in bulk, through the vault's store and past its API: the entries are genuine, and nobody verifies them again.

import { randomBytes } from 'node:crypto';
import { SqliteVaultStore } from '../../../src/stores/sqlite/vault/vault-store.ts';
import type { VerifiedLog } from '../../../src/vault/webvh/verified-log.ts';
import { authorAgents, authorAll } from './author-agents.ts';
import type { Authored, FleetSettings } from './fleet.ts';
import { startProgress } from './progress.ts';

const SECOND = 1000;
const NO_ANSWER = { status: 201, body: '' };
/** Registrations at a time, so that the store always has the next batch at hand. */
const AT_A_TIME = 2000;

export interface BulkSettings {
  readonly vaultFile: string;
  readonly fleet: FleetSettings;
  readonly operatorDid: string;
}

export interface BulkRate {
  readonly registrations: number;
  readonly perSecond: number;
}

export interface BulkRegistration {
  /** From the agent with one number up to that with the other; making their entries takes most of the time. */
  registerAll(from: number, to: number): Promise<BulkRate>;
  /** The store by itself: the entries are made before the clock starts. */
  measureStore(from: number, to: number): Promise<BulkRate>;
  close(): Promise<void>;
}

export async function openForBulk(settings: BulkSettings): Promise<BulkRegistration> {
  const { vaultFile, fleet } = settings;
  const store = await SqliteVaultStore.open({ file: vaultFile, writeTimeoutMillis: 120 * SECOND });
  return {
    registerAll: async (from, to) => {
      const progress = startProgress('registering in bulk', to - from);
      const startedAt = performance.now();
      const underWay: Promise<void>[] = [];
      let done = 0;
      for await (const entries of authorAgents(fleet, from, to)) {
        underWay.push(register(store, entries, settings));
        done += entries.length;
        if (underWay.length > AT_A_TIME / entries.length) await underWay.shift();
        progress(done);
      }
      await Promise.all(underWay);
      return rateSince(startedAt, done);
    },
    measureStore: async (from, to) => {
      const entries = await authorAll(fleet, from, to);
      const startedAt = performance.now();
      for (let at = 0; at < entries.length; at += AT_A_TIME) await register(store, entries.slice(at, at + AT_A_TIME), settings);
      return rateSince(startedAt, entries.length);
    },
    close: () => store.close(),
  };
}

function rateSince(startedAt: number, registrations: number): BulkRate {
  return { registrations, perSecond: (registrations / (performance.now() - startedAt)) * SECOND };
}

async function register(store: SqliteVaultStore, entries: readonly Authored[], settings: BulkSettings): Promise<void> {
  const { operatorDid: operator, fleet } = settings;
  await Promise.all(
    entries.map((entry) => {
      const { line, path, thumbprint } = entry;
      const registration = { kind: 'agent', operator, path, line, witness: undefined, thumbprints: [thumbprint] } as const;
      const write = {
        ...{ author: operator, nonce: randomBytes(16).toString('base64url'), nonceUntil: Date.now() + 30 * SECOND },
        ...{ idempotencyKey: undefined, requestHash: '' },
      };
      return store.register({ ...registration, log: asVerified(entry, fleet) }, write, NO_ANSWER);
    }),
  );
}

/** What verifying the entry would say of it; a sample of the agents is held against that (resolve-times.ts). */
function asVerified({ did, versionId }: Authored, { createdAt }: FleetSettings): VerifiedLog {
  const time = { versionTime: createdAt, created: createdAt };
  return { did, versionIds: [versionId], versionId, ...time, deactivated: false } as unknown as VerifiedLog;
}
