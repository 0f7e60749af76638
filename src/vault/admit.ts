// What a vault admits: an entry that continues a verified log, by an operator who controls the DID, at the DID's place in this
// vault, with a document whose keys are valid. The vault adds rules of its own (pre-rotation, portability, no key given away),
// so that what is registered can be recovered and moved.

import type { DidDocument, Purpose } from './did-document.ts';
import { type UnavailableDid, UnknownDid } from './did-document.ts';
import { type EntryProblem, findSecrets, type PostedEntry, readPostedEntry } from './posted-entry.ts';
import { findDocumentProblems, readDidDocument, thumbprintsIn } from './read-did-document.ts';
import type { Addition, Kind, NewRegistration, Registered, VaultStore } from './registry.ts';
import { placeOf, type VaultPlace } from './vault-place.ts';
import { InvalidLog, type VerifiedLog } from './webvh/verified-log.ts';

export type Refusal =
  | 'not-admitted' // the entry, its document or its log is not acceptable
  | 'not-controller'
  | 'not-registered'
  | 'already-registered'
  | 'stale-version'
  | 'deactivated';

/** The vault keeps nothing of it; the message and each detail are for the one who posted it. */
export class NotAdmitted extends Error {
  override readonly name = 'NotAdmitted';
  readonly refusal: Refusal;
  readonly errors: readonly EntryProblem[];

  constructor(refusal: Refusal, message: string, errors: readonly EntryProblem[] = []) {
    super(message);
    this.refusal = refusal;
    this.errors = errors;
  }
}

export interface LogToVerify {
  readonly did: string;
  /** did.jsonl */
  readonly log: string;
  /** did-witness.json */
  readonly witness: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly maxBytes: number;
}

export interface AdmissionSettings {
  readonly registered: Pick<VaultStore, 'find' | 'readLog' | 'readLogAt'>;
  /** Rejects with {@link InvalidLog}, or with {@link UnavailableDid} when it could not tell. */
  readonly verify: (log: LogToVerify) => Promise<VerifiedLog>;
  /** Of the vault, `https://HOST[:PORT]`. */
  readonly origin: string;
  readonly maxLogBytes: number;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

export interface Posted {
  readonly kind: Kind;
  /** The line of did.jsonl. */
  readonly entry: string;
  /** did-witness.json, where it is to change. */
  readonly witness: string | undefined;
  /** DID of the operator whose signature the write carries. */
  readonly author: string;
}

export interface Admitted<T> {
  readonly admitted: T;
  readonly document: DidDocument;
}

/** A log that is full can still be ended. */
const LAST_ENTRY_BYTES = 65_536;

/** @throws {NotAdmitted}, or {@link UnavailableDid} when the log could not be verified now */
export async function admitRegistration(posted: Posted, settings: AdmissionSettings): Promise<Admitted<NewRegistration>> {
  const { kind, author, witness } = posted;
  const entry = readOrRefuse(posted.entry);
  const did = entry.untrustedDid;
  const place = placeOrRefuse(did, kind, settings.origin);
  const operator = kind === 'operator' ? did : author;
  if (kind === 'operator' ? did !== author : place.operator !== placeOf(author, settings.origin)?.name) {
    throw new NotAdmitted('not-controller', 'An operator registers itself, and its agents under its own name.', [
      { field: 'entry.state.id', detail: 'is the place of another operator' },
    ]);
  }
  const taken = settings.registered.find(did) !== undefined || settings.registered.readLogAt(place.path) !== undefined;
  if (taken)
    throw new NotAdmitted('already-registered', 'This DID, or another one of the same name, is registered: nothing changed.');
  if (entry.untrustedVersion !== 1) refuse('entry.versionId', 'must be the first version of a new log');
  const log = await verifyOrRefuse({ did, log: `${entry.line}\n`, witness }, settings);
  const document = readAdmissible(log, kind, operator, author, settings);
  if (log.deactivated) refuse('entry.parameters.deactivated', 'a DID is not registered to be dead');
  if (!log.parameters.portable) refuse('entry.parameters.portable', 'must be true, so that the DID can leave this vault');
  const thumbprints = thumbprintsIn(log.state);
  return { admitted: { kind, operator, path: place.path, line: entry.line, log, witness, thumbprints }, document };
}

/** @throws {NotAdmitted}, or {@link UnavailableDid} when the log could not be verified now */
export async function admitVersion(did: string, posted: Posted, settings: AdmissionSettings): Promise<Admitted<Addition>> {
  const { kind, author } = posted;
  const before = settings.registered.find(did);
  const kept = settings.registered.readLog(did);
  if (before === undefined || kept === undefined || before.kind !== kind)
    throw new NotAdmitted('not-registered', `No ${kind} of this DID is registered here.`);
  if (!controls(author, before, kept.log))
    throw new NotAdmitted('not-controller', 'The document in force does not name this operator as its controller.', [
      { field: 'Signature-Input', detail: 'names a key of another operator than those in the controller of the DID' },
    ]);
  if (before.deactivated) throw new NotAdmitted('deactivated', 'The DID is deactivated: its log takes no more entries.');
  const entry = readOrRefuse(posted.entry);
  if (entry.untrustedVersion !== before.version + 1) {
    throw new NotAdmitted('stale-version', `The next version is ${before.version + 1}: read the log again and build on it.`, [
      { field: 'entry.versionId', detail: `must begin with ${before.version + 1}-` },
    ]);
  }
  if (entry.untrustedDid !== did) refuse('entry.state.id', 'must stay the DID: a DID that moves is registered where it moves to');
  const log = await verifyOrRefuse(
    { did, log: `${kept.log.trimEnd()}\n${entry.line}\n`, witness: posted.witness ?? kept.witness },
    settings,
  );
  const document = readAdmissible(log, kind, before.operator, author, settings);
  return { admitted: { did, line: entry.line, log, witness: posted.witness, thumbprints: thumbprintsIn(log.state) }, document };
}

function refuse(field: string, detail: string): never {
  throw new NotAdmitted('not-admitted', `${field} ${detail}.`, [{ field, detail }]);
}

function readOrRefuse(line: string): PostedEntry {
  const entry = readPostedEntry(line);
  if ('field' in entry) refuse(entry.field, entry.detail);
  const secrets = findSecrets(entry.untrustedState);
  if (secrets.length > 0) {
    throw new NotAdmitted(
      'not-admitted',
      'The document holds private key material. Nothing was kept, but the key has left your machine: make a new one.',
      secrets.map((field) => ({ field, detail: 'is private and must not be published' })),
    );
  }
  return entry;
}

function placeOrRefuse(did: string, kind: Kind, origin: string): VaultPlace {
  const wanted = kind === 'operator' ? 'operators:NAME' : 'agents:OPERATOR:NAME';
  let place: VaultPlace | undefined;
  try {
    place = placeOf(did, origin);
  } catch (error) {
    if (error instanceof UnknownDid) refuse('entry.state.id', `is not a did:webvh that can be registered: ${error.message}`);
    throw error;
  }
  if (place?.kind === kind) return place;
  return refuse(
    'entry.state.id',
    `must be at ${wanted} of ${new URL(origin).host}, names of a-z, 0-9 and inner hyphens, 63 characters at most`,
  );
}

/** What the newest kept entry says; it was verified before it was kept. */
function controls(author: string, { kind, did, deactivated, operator }: Registered, log: string): boolean {
  if (kind === 'operator') return author === did;
  if (deactivated) return author === operator;
  const last = readPostedEntry(log.trimEnd().split('\n').at(-1) ?? '');
  if ('field' in last) throw new Error('a kept entry cannot be read');
  return readDidDocument(did, last.untrustedState, undefined).controller?.includes(author) === true;
}

async function verifyOrRefuse(
  { did, log, witness }: Pick<LogToVerify, 'did' | 'log' | 'witness'>,
  { verify, clock, maxLogBytes }: AdmissionSettings,
): Promise<VerifiedLog> {
  const bytes = Buffer.byteLength(log);
  const tooLong = `makes the log ${bytes} bytes long, of ${maxLogBytes} at most: gateways would not read it`;
  if (bytes > maxLogBytes + LAST_ENTRY_BYTES) refuse('entry', tooLong);
  let verified: VerifiedLog;
  try {
    verified = await verify({ did, log, witness, now: clock(), maxBytes: maxLogBytes + LAST_ENTRY_BYTES });
  } catch (error) {
    if (error instanceof InvalidLog) refuse('entry', `does not verify: ${error.message}`);
    throw error;
  }
  if (verified.did !== did) refuse('entry.state.id', 'is not the DID of the log');
  if (bytes > maxLogBytes && !verified.deactivated) refuse('entry', tooLong);
  return verified;
}

function readAdmissible(
  log: VerifiedLog,
  kind: Kind,
  operator: string,
  author: string,
  { clock }: AdmissionSettings,
): DidDocument {
  const { did, versionId } = log;
  const errors: EntryProblem[] = findDocumentProblems(did, log.state).map(toEntryProblem);
  if (log.deactivated && errors.length === 0) return { did, controller: [], verificationMethods: [], versionId };
  if (!log.deactivated && log.parameters.nextKeyHashes.length === 0) {
    errors.push({
      field: 'entry.parameters.nextKeyHashes',
      detail: 'must commit to the next key: pre-rotation is what recovers a DID',
    });
  }
  if (errors.length > 0) throw new NotAdmitted('not-admitted', 'The document or its parameters are not acceptable.', errors);
  const document = readDidDocument(did, log.state, versionId);
  if (kind === 'agent' && !(document.controller ?? []).includes(operator)) {
    throw new NotAdmitted('not-controller', 'The document must name the operator it is registered by as its controller.', [
      {
        field: 'entry.state.controller',
        detail: operator === author ? 'must name the operator' : 'must go on naming its operator',
      },
    ]);
  }
  // An operator without a key to sign with could never write here again.
  const purposes: readonly Purpose[] = kind === 'agent' ? ['capabilityInvocation'] : ['assertionMethod', 'capabilityInvocation'];
  for (const purpose of purposes) {
    const current = document.verificationMethods.some(
      ({ purposes: held, expires }) => held.includes(purpose) && (expires === undefined || clock() < expires),
    );
    if (!current) refuse(`entry.state.${purpose}`, `of an ${kind} must have a key that has not expired`);
  }
  return document;
}

/** `verificationMethod[0].publicKeyJwk: what is wrong`, as the reader of documents says it. */
function toEntryProblem(problem: string): EntryProblem {
  const [, field, detail] = /^([\w.[\]#@-]+): (.+)$/s.exec(problem) ?? [];
  return field === undefined || detail === undefined
    ? { field: 'entry.state', detail: problem }
    : { field: `entry.state.${field}`, detail };
}
