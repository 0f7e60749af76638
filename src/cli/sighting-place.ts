// Where sightings are read: a vault whose process has a gateway, or the store of a gateway on this machine.

import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Author } from '../operator/sign-write.ts';
import { RestrictionSet } from '../restrictions/restriction-set.ts';
import { reopenRestriction } from '../restrictions/verify-restriction.ts';
import type { Sighted } from '../sightings/judge-link.ts';
import { readSessions } from '../sightings/read-sessions.ts';
import { readTree } from '../sightings/read-tree.ts';
import type { TreeKind } from '../sightings/sighting-reader.ts';
import type { SessionPage, TreeView } from '../sightings/views.ts';
import { loadRestrictions } from '../stores/sqlite/restrictions/load-restrictions.ts';
import { openRestrictionsForReading } from '../stores/sqlite/restrictions/restriction-database.ts';
import { openSightingsForReading, readFacts } from '../stores/sqlite/sightings/sighting-database.ts';
import { makeSightingReader } from '../stores/sqlite/sightings/sighting-reader.ts';
import { addHomeOptions } from './home-options.ts';
import { CommandError, UsageError } from './output.ts';
import { authorOf } from './restrict.ts';
import { addPlaceOptions, type PlaceOptions, vaultOf } from './restriction-place.ts';

export interface SightingPlaceOptions extends PlaceOptions {
  key?: string;
  by?: string;
}

export interface SessionQuery {
  readonly operator?: string;
  readonly agent?: string;
  readonly all?: boolean;
  readonly limit: number;
  readonly cursor?: string;
}

export interface TreeQuery {
  readonly kind: TreeKind;
  readonly id: string;
  readonly live?: boolean;
  readonly depth: number;
  readonly limit: number;
}

export interface SightingPlace {
  sessions(query: SessionQuery): Promise<SessionPage>;
  tree(query: TreeQuery): Promise<TreeView>;
  close(): void;
}

export function addSightingPlaceOptions(command: Command): Command {
  return addHomeOptions(
    addPlaceOptions(command)
      .option('--key <file>', 'ask the vault with this key instead of the home’s')
      .option('--by <did-url>', 'DID URL of --key; by default it stands for its did:key'),
  );
}

/** @throws {CommandError} or {@link OperatorError} that says what to do */
export async function openSightingPlace(options: SightingPlaceOptions): Promise<SightingPlace> {
  return options.store === undefined ? openVault(options) : openStore(options.store);
}

async function openVault(options: SightingPlaceOptions): Promise<SightingPlace> {
  const { author } = await authorOf(options);
  const { key, keyId } = author;
  if (keyId === undefined) throw new UsageError('a vault is asked as a DID: name it with --by');
  const asker: Author = { key, keyId };
  const { client } = await vaultOf(options);
  return {
    sessions: (query) => client.sessions(textOf(query), asker),
    tree: (query) => client.tree(textOf(query), asker),
    close: () => {},
  };
}

function textOf(query: SessionQuery | TreeQuery): Record<string, string> {
  const said = Object.entries(query).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said.map(([name, value]) => [name, String(value)]));
}

function openStore(store: string): SightingPlace {
  const sightings = openSightingsForReading(besideStore(store, 'sightings'));
  try {
    const restrictions = openRestrictionsForReading(besideStore(store, 'restrictions'));
    const read = restrictions.prepare('SELECT jws FROM restrictions WHERE sequence = ?');
    const byId = restrictions.prepare('SELECT jws FROM restrictions WHERE id = ?');
    const reopen = (row: Record<string, unknown> | undefined) => row && reopenRestriction(String(row.jws));
    const set = new RestrictionSet({ ...readFacts(sightings), read: (sequence) => reopen(read.get(sequence)) });
    const last = restrictions.prepare('SELECT coalesce(max(sequence), 0) AS last FROM restrictions').get()?.last;
    loadRestrictions(restrictions, 0, Number(last), set);
    const sighted: Sighted = {
      reader: makeSightingReader(sightings),
      find: (chain) => set.find(chain),
      restriction: (id) => reopen(byId.get(id)),
    };
    return {
      sessions: async ({ operator, agent, all = false, limit, cursor }) => {
        const found = await readSessions({ operator, agent, all, limit, after: placeOf(cursor) }, sighted, now());
        return { items: found.items, ...(found.next && { next: `${found.next.exp}.${found.next.tokenHash}` }) };
      },
      tree: ({ live = false, ...query }) => readTree({ ...query, live, operator: undefined }, sighted, now()),
      close: () => {
        sightings.close();
        restrictions.close();
      },
    };
  } catch (error) {
    sightings.close();
    throw error;
  }
}

function besideStore(store: string, what: 'sightings' | 'restrictions'): string {
  const file = `${store}-${what}`;
  if (existsSync(file)) return file;
  if (what === 'sightings')
    throw new CommandError(
      `${file} does not exist: name the file of a gateway's verify.store.file, after a first start with verify.sightings.keepSeconds over 0`,
    );
  throw new CommandError(
    `${file} does not exist: a gateway beside a vault has the restrictions of the vault; ask that, with --vault`,
  );
}

function placeOf(cursor: string | undefined): { exp: number; tokenHash: string } | undefined {
  if (cursor === undefined) return undefined;
  const [, exp, tokenHash] = /^(\d{1,15})\.([\w-]{43})$/.exec(cursor) ?? [];
  if (exp === undefined || tokenHash === undefined) throw new UsageError('--cursor takes what the page before ended with');
  return { exp: Number(exp), tokenHash };
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}
