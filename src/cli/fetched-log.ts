// The log of a did:webvh from where the command line says that it is: a file, or the place that the DID names.

import { type Command, InvalidArgumentError } from 'commander';
import type { DidWebvhLocation } from '../vault/did-location.ts';
import { addressRange } from '../vault/fetch/address-policy.ts';
import { FailedFetch, NotFound, RefusedFetch } from '../vault/fetch/fetch-error.ts';
import { type GuardedFetch, makeGuardedFetch } from '../vault/fetch/guarded-fetch.ts';
import { hostAddress, lookupWith, RESOLVE_HELP } from './home-options.ts';
import { CommandError, readNamedFile } from './output.ts';

export interface FetchOptions {
  trustedCa?: string;
  allowAddress?: string[];
  resolve?: ReadonlyMap<string, string>;
}

export interface ReadLog {
  /** did.jsonl */
  readonly log: string;
  /** did-witness.json */
  readonly witness: string | undefined;
}

const LOG_TYPES = [
  'text/jsonl',
  'application/jsonl',
  'application/x-ndjson',
  'application/json',
  'text/plain',
  'application/octet-stream',
];
const WITNESS_TYPES = ['application/json', 'text/plain', 'application/octet-stream'];
export const MOST_BYTES = 4 * 1024 * 1024;

export function addFetchOptions(command: Command): Command {
  return command
    .option('--trusted-ca <file>', "CA certificates that the DID's host is verified against; the system's by default")
    .option('--allow-address <cidr>', 'addresses that may be connected to although they are not public; may be repeated', range)
    .option('--resolve <host:address>', RESOLVE_HELP, hostAddress);
}

export async function guardedFetch({ trustedCa, allowAddress = [], resolve = new Map() }: FetchOptions): Promise<GuardedFetch> {
  const ca = trustedCa === undefined ? undefined : (await readNamedFile(trustedCa)).toString('utf8');
  const lookup = lookupWith(resolve);
  return makeGuardedFetch({
    allowedAddresses: allowAddress,
    trustedCa: ca,
    timeoutMillis: 10_000,
    maxBytes: MOST_BYTES,
    requestsPerSecond: 10,
    maxConcurrent: 2,
    sharePerHost: 1,
    lookup: (hostname, options, found) =>
      lookup(hostname, options, (error, addresses) => found(error, Array.isArray(addresses) ? addresses : [])),
    monotonic: () => performance.now(),
  });
}

/** @throws {CommandError} */
export async function fetchLog({ log, witness }: DidWebvhLocation, guarded: GuardedFetch): Promise<ReadLog> {
  const text = await fetchText(log, LOG_TYPES, guarded);
  if (text === undefined) throw new NotThere(`there is no log at ${log.href}`);
  // Only a log that speaks of witnesses has such a file; one that hides that does not verify.
  return { log: text, witness: text.includes('"threshold"') ? await fetchText(witness, WITNESS_TYPES, guarded) : undefined };
}

export class NotThere extends CommandError {}

/** @returns `undefined` where there is nothing. @throws {CommandError} */
export async function fetchText(url: URL, types: readonly string[], guarded: GuardedFetch): Promise<string | undefined> {
  try {
    return (await guarded.fetch(url, types)).toString('utf8');
  } catch (error) {
    if (error instanceof NotFound) return undefined;
    if (error instanceof FailedFetch) throw new CommandError(`${url.href} cannot be read now: ${error.message}`);
    if (error instanceof RefusedFetch)
      throw new CommandError(`${url.href} is not read: ${error.message} (see --trusted-ca and --allow-address)`);
    throw error;
  }
}

export async function readLogFiles(log: string, witness: string | undefined): Promise<ReadLog> {
  const read = async (file: string) => (await readNamedFile(file)).toString('utf8');
  return { log: await read(log), witness: witness === undefined ? undefined : await read(witness) };
}

function range(text: string, before: string[] = []): string[] {
  const { success, error } = addressRange.safeParse(text);
  if (!success) throw new InvalidArgumentError(error.issues[0]?.message ?? 'is not a range of addresses');
  return [...before, text];
}
