// Where restrictions are written and read: a vault, or the store of a gateway or vault on this machine.

import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { homeFiles, readOperatorFile } from '../operator/home.ts';
import type { VaultClient } from '../operator/vault-client.ts';
import { reopenRestriction } from '../restrictions/verify-restriction.ts';
import { SqliteRestrictionStore } from '../stores/sqlite/restrictions/restriction-store.ts';
import { type HomeOptions, operatorTools } from './home-options.ts';
import { CommandError, UsageError } from './output.ts';

export interface PlaceOptions extends HomeOptions {
  vault?: string;
  store?: string;
}

export interface Statement {
  readonly sequence: number;
  readonly compact: string;
}

export interface RestrictionPlace {
  /** For messages. */
  readonly name: string;
  /** @throws {CommandError} or {@link OperatorError} when it is not taken */
  add(compact: string, chain: readonly string[] | undefined): Promise<{ readonly id: string; readonly sequence: number }>;
  find(id: string): Promise<string | undefined>;
  list(): AsyncIterable<Statement>;
  /** `undefined` where nobody could say who has it. */
  readonly acknowledged: VaultClient['acknowledged'] | undefined;
  close(): Promise<void>;
}

export function addPlaceOptions(command: Command): Command {
  return command
    .addOption(new Option('--vault <origin>', 'the vault, https://HOST[:PORT]; by default that of the home').conflicts('store'))
    .option('--store <file>', 'instead of a vault: the store of a gateway without one, on this machine (verify.store.file)');
}

export async function openPlace(options: PlaceOptions): Promise<RestrictionPlace> {
  return options.store === undefined ? openVault(options) : openStore(options.store);
}

/** The vault that the options name, or that of the home. */
export async function vaultOf(options: PlaceOptions): Promise<{ readonly origin: string; readonly client: VaultClient }> {
  const operator = options.vault === undefined ? await readOperatorFile(homeFiles(options.home)) : undefined;
  const origin = originOf(options.vault ?? operator?.vault ?? '');
  return { origin, client: await operatorTools(options).vaultAt(origin, operator?.vaultCa) };
}

async function openVault(options: PlaceOptions): Promise<RestrictionPlace> {
  const { origin, client } = await vaultOf(options);
  return {
    name: origin,
    add: (compact, chain) => client.restrict(compact, chain),
    find: (id) => client.findRestriction(id),
    list: async function* () {
      for await (const { sequence, restriction } of client.restrictions(0)) yield { sequence, compact: restriction };
    },
    acknowledged: (sequence, wait) => client.acknowledged(sequence, wait),
    close: async () => {},
  };
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.pathname !== '/') throw new UsageError('--vault must be an origin: https://HOST[:PORT]');
  return url.origin;
}

/** Beside the store that the configuration names. */
export function restrictionFile(store: string): string {
  const file = `${store}-restrictions`;
  if (existsSync(file)) return file;
  throw new CommandError(`${file} does not exist: name the file of verify.store.file or control.store.file, after a first start`);
}

async function openStore(file: string): Promise<RestrictionPlace> {
  const store = await SqliteRestrictionStore.open(restrictionFile(file));
  return {
    name: file,
    add: async (compact) => {
      const restriction = reopenRestriction(compact);
      const [appended] = await store.append([restriction]);
      if (appended === undefined || appended.outcome === 'taken') throw new CommandError('another restriction has this id');
      return { id: restriction.id, sequence: appended.sequence };
    },
    find: async (id) => store.findById(id)?.compact,
    list: async function* () {
      for (let after = 0; ; ) {
        const rows = store.after(after, 500);
        yield* rows;
        const last = rows.at(-1);
        if (last === undefined) return;
        after = last.sequence;
      }
    },
    acknowledged: undefined,
    close: () => store.close(),
  };
}
