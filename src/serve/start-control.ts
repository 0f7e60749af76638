// The vault's role, wired: its store, the worker that verifies logs, the key of its directory, and the control API.

import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ConfigurationError, type ControlConfiguration } from '../config.ts';
import { Followers } from '../control/followers.ts';
import { startControl as startApi } from '../control/start-control.ts';
import type { Sighted } from '../sightings/judge-link.ts';
import { SqliteRestrictionStore } from '../stores/sqlite/restrictions/restriction-store.ts';
import { SqliteVaultStore } from '../stores/sqlite/vault/vault-store.ts';
import { selfDescribingResolver } from '../vault/resolver.ts';
import { LogVerifier } from '../vault/webvh/log-verifier.ts';
import { readDirectoryKey } from './directory-key.ts';
import { startEvents } from './events.ts';
import type { LocalVault } from './resolution.ts';
import type { RunningRole } from './running-role.ts';
import { startPublishing } from './shared-restrictions.ts';
import type { StartSettings } from './start-verify.ts';

export interface RunningVault extends RunningRole {
  /** For a gateway in the same process. */
  readonly vault: LocalVault;
}

/** @throws {ConfigurationError}, {StoreError} or the error of the address: nothing is left running then. */
export async function startControl(configuration: ControlConfiguration, { log, clock }: StartSettings): Promise<RunningVault> {
  const key = await readDirectoryKey(configuration);
  await mkdir(dirname(configuration.store.file), { recursive: true, mode: 0o700 });
  // Ended in reverse.
  const opened: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (const end of opened.toReversed()) await end();
  };
  try {
    const store = await SqliteVaultStore.open({ file: configuration.store.file, clock });
    opened.push(() => store.close());
    const file = `${configuration.store.file}-restrictions`;
    const restrictions = await SqliteRestrictionStore.open(file);
    opened.push(() => restrictions.close());
    const followers = new Followers(() => performance.now());
    // Gateways may rely on what this vault said before it was started anew, whether or not they reach it by now.
    followers.expectOthers(restrictions.longestBound);
    let current = configuration;
    let sighted: Sighted | undefined;
    const operators = () => current.operators;
    const events = await startEvents({ configuration, operators, key, vault: store, restrictions, clock, log });
    opened.push(() => events.stop());
    const { origin, administrators, redis } = configuration;
    if (redis) {
      const publishing = await startPublishing({ configuration: redis, store: restrictions, file, followers, log, clock });
      opened.push(() => publishing.stop());
    }
    const verifier = LogVerifier.start();
    opened.push(() => verifier.close());
    const api = await startApi({
      configuration,
      operators,
      key,
      events: events.api,
      store,
      restrictions: {
        store: restrictions,
        followers,
        administrators: () => current.administrators,
        resolver: selfDescribingResolver(),
      },
      sightings: () => sighted,
      verifier,
      clock,
      log,
    });
    opened.push(() => api.stop());
    log.info({ role: 'control', address: api.address, origin }, 'serving');
    return {
      role: 'control',
      address: api.address,
      vault: {
        origin,
        store,
        // What transmitters had revoked counts without being asked for.
        restrictions: { origin, store: restrictions, followers, administrators: [...administrators, ...events.authors] },
        showSightings: (shown) => {
          sighted = shown;
        },
      },
      assertReloadable: async (next) => assertReloadable(current, next as ControlConfiguration),
      reload: async (next) => {
        const reloaded = next as ControlConfiguration;
        assertReloadable(current, reloaded);
        current = reloaded;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const FIXED = ['service', 'origin', 'store', 'key', 'maxLogBytes', 'administrators', 'redis', 'events'] as const;

/** @throws {ConfigurationError} */
function assertReloadable(current: ControlConfiguration, next: ControlConfiguration): void {
  const changed = FIXED.filter((name) => !isDeepStrictEqual(current[name], next[name]));
  if (changed.length > 0) throw new ConfigurationError(changed.map((name) => `control.${name}: changes only with a restart`));
}
