// `did resolve`: the document of a DID at a version of it, as DID Resolution has it. What is fetched is verified here.

import type { Command } from 'commander';
import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';
import { dateTime } from '../operator/did-state.ts';
import { UnknownDid } from '../vault/did-document.ts';
import { locationOfDidWeb, locationOfDidWebvh } from '../vault/did-location.ts';
import { findDocumentProblems } from '../vault/read-did-document.ts';
import { resolveSelfDescribing } from '../vault/self-describing-did.ts';
import { parseZonedTime } from '../vault/utc-time.ts';
import { LogVerifier } from '../vault/webvh/log-verifier.ts';
import { VersionNotFound, type VersionSelector } from '../vault/webvh/select-version.ts';
import { InvalidLog, type VerifiedLog } from '../vault/webvh/verified-log.ts';
import {
  addFetchOptions,
  type FetchOptions,
  fetchLog,
  fetchText,
  guardedFetch,
  MOST_BYTES,
  NotThere,
  readLogFiles,
} from './fetched-log.ts';
import { CommandError, EXIT, type OutputOptions, print, UsageError } from './output.ts';

interface ResolveOptions extends OutputOptions, FetchOptions {
  log?: string;
  witness?: string;
}

interface Resolution {
  readonly didDocument: unknown;
  readonly didDocumentMetadata: Readonly<Record<string, unknown>>;
}

/** An outcome that DID Resolution has a name for. */
class Unresolved extends CommandError {
  readonly code: 'invalidDid' | 'notFound' | 'methodNotSupported' | 'invalidDidDocument';

  constructor(code: Unresolved['code'], message: string) {
    super(message);
    this.code = code;
  }
}

const WEB_TYPES = [
  'application/did+json',
  'application/did+ld+json',
  'application/did',
  'application/json',
  'application/ld+json',
];

export function addResolveCommand(did: Command): void {
  addFetchOptions(did.command('resolve'))
    .summary('resolve a DID, at any version of it')
    .description(
      'Prints the document of a DID and its metadata. A did:webvh is fetched from its host, or read from a file, and its whole log is verified here. Addresses that are not public are not connected to unless they are allowed.',
    )
    .argument('<did>', 'the DID; with ?versionId=…, ?versionTime=… or ?versionNumber=… an older version of a did:webvh')
    .option('--log <file>', 'did.jsonl in a file, instead of fetching it')
    .option('--witness <file>', 'did-witness.json in a file, beside --log')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      "\nExample:\n  hermesbridge did resolve 'did:webvh:Qm…:vault.example:agents:acme:reader?versionTime=2026-05-04T10:00:00Z'",
    )
    .action(resolveDid);
}

export async function resolveDid(url: string, options: ResolveOptions): Promise<void> {
  try {
    const [did = '', query, ...more] = url.split('?');
    if (more.length > 0 || url.includes('#')) throw new UsageError('give the DID with at most one query, and without a fragment');
    const resolved = await resolutionOf(did, selectorOf(query), options);
    const { didDocument, didDocumentMetadata } = resolved;
    const metadata = Object.entries(didDocumentMetadata).map(([name, value]) => `${name.padEnd(14)} ${String(value)}`);
    const text = [
      didDocument === null ? 'deactivated: there is no document any more' : JSON.stringify(didDocument, undefined, 2),
      ...metadata,
    ];
    print(options, { didResolutionMetadata: { contentType: 'application/did' }, ...resolved }, text.join('\n'));
  } catch (error) {
    const unresolved = asUnresolved(error);
    if (unresolved === undefined || !options.json) throw unresolved ?? error;
    const { code, message } = unresolved;
    process.stderr.write(`hermesbridge: ${message}\n`);
    print(options, { didResolutionMetadata: { error: code, message }, didDocument: null, didDocumentMetadata: {} }, '');
    process.exitCode = EXIT.no;
  }
}

async function resolutionOf(did: string, select: VersionSelector | undefined, options: ResolveOptions): Promise<Resolution> {
  if (did.startsWith('did:webvh:')) return resolveWebvh(did, select, options);
  if (select !== undefined) throw new UsageError('only a did:webvh has versions');
  if (options.log !== undefined || options.witness !== undefined) throw new UsageError('only a did:webvh has a --log');
  if (did.startsWith('did:web:')) return resolveWeb(did, options);
  const { verificationMethods } = resolveSelfDescribing(did);
  const methods = verificationMethods.map(({ id, key }) => ({ id, type: 'JsonWebKey', controller: did, publicKeyJwk: key.jwk }));
  const ids = methods.map(({ id }) => id);
  const didDocument = { id: did, verificationMethod: methods, assertionMethod: ids, capabilityInvocation: ids };
  return { didDocument, didDocumentMetadata: {} };
}

async function resolveWebvh(did: string, select: VersionSelector | undefined, options: ResolveOptions): Promise<Resolution> {
  if (options.witness !== undefined && options.log === undefined) throw new UsageError('--witness goes with --log');
  const location = locationOfDidWebvh(did);
  const read =
    options.log === undefined
      ? await fetchLog(location, await guardedFetch(options))
      : await readLogFiles(options.log, options.witness);
  const verifier = LogVerifier.start({ maxBytes: MOST_BYTES, timeLimitMillis: 30_000 });
  const verified = await verifier.verify({ did, ...read, now: Date.now(), select });
  const { versionTime } = JSON.parse(read.log.trimEnd().split('\n').at(-1) ?? '') as { versionTime: string };
  // An older version that was asked for is shown as it was.
  const gone = verified.deactivated && select === undefined;
  return { didDocument: gone ? null : verified.state, didDocumentMetadata: metadataOf(verified, versionTime) };
}

function metadataOf({ versionIds, versionId, versionTime, created, deactivated, parameters }: VerifiedLog, updated: string) {
  return {
    versionId,
    versionNumber: versionIds.indexOf(versionId) + 1,
    versionTime: dateTime(versionTime),
    created: dateTime(created),
    updated: dateTime(Date.parse(updated)),
    versions: versionIds.length,
    deactivated,
    scid: parameters.scid,
    portable: parameters.portable,
    prerotation: parameters.nextKeyHashes.length > 0,
    ...(parameters.ttl !== undefined && { ttl: parameters.ttl }),
  };
}

async function resolveWeb(did: string, options: ResolveOptions): Promise<Resolution> {
  const url = locationOfDidWeb(did);
  const text = await fetchText(url, WEB_TYPES, await guardedFetch(options));
  if (text === undefined) throw new Unresolved('notFound', `there is no document at ${url.href}`);
  const didDocument = parseStrictJson(Buffer.from(text));
  const [problem] = findDocumentProblems(did, didDocument);
  if (problem !== undefined)
    throw new Unresolved('invalidDidDocument', `the document at ${url.href} is not one that is accepted: ${problem}`);
  return { didDocument, didDocumentMetadata: {} };
}

/** @throws {UsageError} */
function selectorOf(query: string | undefined): VersionSelector | undefined {
  if (query === undefined || query === '') return undefined;
  const [[name, value], ...more] = [...new URLSearchParams(query)] as [[string, string], ...[string, string][]];
  if (more.length > 0) throw new UsageError('select a version in one way: versionId, versionTime or versionNumber');
  if (name === 'versionId') return { versionId: value };
  if (name === 'versionNumber' && /^[1-9]\d{0,8}$/.test(value)) return { versionNumber: Number(value) };
  // A query's plus reads as a blank.
  const time = name === 'versionTime' ? parseZonedTime(value.replace(' ', '+')) : undefined;
  if (time !== undefined) return { versionTime: time };
  throw new UsageError('select a version with versionId=NUMBER-HASH, versionTime=2026-05-04T10:00:00Z or versionNumber=1');
}

function asUnresolved(error: unknown): Unresolved | undefined {
  if (error instanceof Unresolved) return error;
  if (error instanceof VersionNotFound || error instanceof NotThere) return new Unresolved('notFound', error.message);
  if (error instanceof InvalidLog) return new Unresolved('invalidDid', `the log does not verify: ${error.message}`);
  if (error instanceof JsonError) return new Unresolved('invalidDidDocument', `the document is ${error.message}`);
  if (!(error instanceof UnknownDid)) return undefined;
  return new Unresolved(/is not accepted here/.test(error.message) ? 'methodNotSupported' : 'invalidDid', error.message);
}
