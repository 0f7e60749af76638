// A vault with many agents: some of them registered over the API, at the beginning and at the end, the others in bulk.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { authorAll } from './author-agents.ts';
import { type BulkRate, openForBulk } from './bulk-register.ts';
import { fillSeenLogs } from './fill-seen-logs.ts';
import { type Fleet, type FleetSettings, makeFleet } from './fleet.ts';
import { type ApiRate, registerAgents, registerOperator } from './register-over-api.ts';
import { controlSocket, startVault, type VaultProgramSettings } from './vault-program.ts';

export interface MakingFigures {
  /** Into an empty vault, and into the full one, which the program is still looking through meanwhile. */
  readonly api: { readonly empty: ApiRate; readonly full: ApiRate };
  /** The store alone, at its full size. */
  readonly store: BulkRate;
  readonly bulk: BulkRate;
  readonly bytes: { readonly file: number; readonly free: number; readonly perAgent: number };
}

export interface MadeVault {
  readonly agents: number;
  readonly fleet: FleetSettings;
  readonly operator: Fleet['operator'];
  readonly file: string;
  readonly seenFile: string;
  readonly figures: MakingFigures;
}

const ORIGIN = 'https://vault.bench.example';
/** Registered over the API into the full vault, and by the store alone. */
const AT_THE_END = { api: 500, store: 10_000 };

const filesIn = (directory: string) => ({
  description: join(directory, 'made.json'),
  file: join(directory, 'vault.db'),
  seenFile: join(directory, 'seen.db'),
});

/**
 * @param directory where the vault is made; it may be there, and empty
 * @param workDirectory for the program that serves the API meanwhile
 */
export async function makeVault(
  { agents, overApi }: { readonly agents: number; readonly overApi: number },
  directory: string,
  workDirectory: string,
  say: (line: string) => void,
): Promise<MadeVault> {
  const { description, file, seenFile } = filesIn(directory);
  if (existsSync(file)) throw new Error(`${directory} has a vault already: --use it, or name another directory`);
  await mkdir(directory, { recursive: true });
  const fleet = { seed: randomBytes(32), origin: ORIGIN, createdAt: Math.floor(Date.now() / 1000) * 1000 };
  const { operator } = makeFleet(fleet);
  const program = { directory: workDirectory, vaultFile: file, origin: ORIGIN, operatorDid: operator.did };
  const end = { api: Math.min(AT_THE_END.api, overApi), store: Math.min(AT_THE_END.store, Math.floor(agents / 4)) };
  const bulkTo = agents - end.api - end.store;

  const empty = await overTheApi(program, operator, fleet, 0, overApi, true);
  say(`registered over the API: ${rateOf(empty)}`);
  const inBulk = await openForBulk({ vaultFile: file, fleet, operatorDid: operator.did });
  const { bulk, store } = await (async () => ({
    bulk: await inBulk.registerAll(overApi, bulkTo),
    store: await inBulk.measureStore(bulkTo, bulkTo + end.store),
  }))().finally(() => inBulk.close());
  say(`registered in bulk, making the entries included: ${bulk.registrations}, ${bulk.perSecond.toFixed(0)} per second`);
  say(`the store alone, at its full size: ${store.registrations}, ${store.perSecond.toFixed(0)} per second`);
  const full = await overTheApi(program, operator, fleet, agents - end.api, agents, false);
  say(`registered over the API into the full vault: ${rateOf(full)}`);
  await fillSeenLogs(seenFile, file, agents);
  const figures = { api: { empty, full }, store, bulk, bytes: sizeOf(file, agents) };
  const written = { agents, fleet: { ...fleet, seed: fleet.seed.toString('base64url') }, operator: operator.did, figures };
  await writeFile(description, JSON.stringify(written, undefined, 2));
  return { agents, fleet, operator, file, seenFile, figures };
}

/** @throws when there is no vault that was made to its end */
export async function openMadeVault(directory: string): Promise<MadeVault> {
  const { description, file, seenFile } = filesIn(directory);
  if (!existsSync(description)) throw new Error(`${directory} holds no vault that was made with --keep`);
  const { agents, fleet: stored, operator: did, figures } = JSON.parse(await readFile(description, 'utf8'));
  const fleet: FleetSettings = { ...stored, seed: Buffer.from(stored.seed, 'base64url') };
  const { operator } = makeFleet(fleet);
  if (operator.did !== did) throw new Error(`the vault in ${directory} was made by another version of the bench`);
  return { agents, fleet, operator, file, seenFile, figures };
}

async function overTheApi(
  settings: VaultProgramSettings,
  operator: Fleet['operator'],
  fleet: FleetSettings,
  from: number,
  to: number,
  first: boolean,
): Promise<ApiRate> {
  const entries = await authorAll(fleet, from, to);
  const program = await startVault(settings);
  try {
    const api = { socket: controlSocket(settings.directory), origin: settings.origin, operator };
    if (first) await registerOperator(api);
    return await registerAgents(entries, api);
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${program.log()}`, { cause: error });
  } finally {
    await program.stop();
  }
}

function rateOf({ registrations, perSecond, p50Ms, p99Ms }: ApiRate): string {
  return `${registrations}, ${perSecond.toFixed(0)} per second, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`;
}

function sizeOf(file: string, agents: number): MakingFigures['bytes'] {
  const database = new DatabaseSync(file, { readOnly: true });
  const pragma = (name: string) => Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
  const page = pragma('page_size');
  const [bytes, free] = [pragma('page_count') * page, pragma('freelist_count') * page];
  database.close();
  return { file: bytes, free, perAgent: (bytes - free) / agents };
}
