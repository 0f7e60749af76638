// What a gateway keeps of the links that it sees, wired. Nothing is decided by it: where it cannot be kept, the gateway says so in
// its log and works on.

import type { Logger } from 'pino';
import type { VerifyConfiguration } from '../config.ts';
import type { Sighted } from '../sightings/judge-link.ts';
import { makeSightingNotes, type NoteSighting } from '../sightings/note-sightings.ts';
import { StoreError } from '../stores/sqlite/database.ts';
import { SqliteSightingStore } from '../stores/sqlite/sightings/sighting-store.ts';
import type { GatewayRestrictions } from './restrictions.ts';

export interface GatewaySightingSettings {
  readonly configuration: VerifyConfiguration;
  readonly restrictions: Pick<GatewayRestrictions, 'inForce' | 'administrators' | 'read'>;
  /** The vault in this process, which shows them. */
  readonly showSightings: ((sighted: Sighted | undefined) => void) | undefined;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

export interface GatewaySightings {
  /** `undefined` when none are kept. */
  readonly note: NoteSighting | undefined;
  stop(): Promise<void>;
}

const NONE: GatewaySightings = { note: undefined, stop: async () => {} };

export async function startSightings(settings: GatewaySightingSettings): Promise<GatewaySightings> {
  const { configuration, restrictions, showSightings, log, clock } = settings;
  const { sightings: limits, store, gateway } = configuration;
  if (limits.keepSeconds === 0) return NONE;
  let kept: SqliteSightingStore;
  try {
    kept = await SqliteSightingStore.open({
      file: `${store.file}-sightings`,
      limits,
      facts: { administrators: restrictions.administrators },
      gateway: gateway.names[0] ?? '',
      clock,
      onLost: (links, why) => log.warn({ links, why }, 'links that were seen were not kept: `session` and `tree` lack them'),
    });
  } catch (err) {
    if (!(err instanceof StoreError)) throw err;
    log.error({ err }, 'no sightings are kept: `session` and `tree` show nothing; requests are decided all the same');
    return NONE;
  }
  const find: Sighted['find'] = (chain) => restrictions.inForce.find(chain);
  showSightings?.({ reader: kept.reader, find, restriction: restrictions.read });
  return {
    note: makeSightingNotes({ sink: kept, clock, onError: (err) => log.warn({ err }, 'a chain was not noted') }),
    stop: async () => {
      showSightings?.(undefined);
      await kept.close();
    },
  };
}
