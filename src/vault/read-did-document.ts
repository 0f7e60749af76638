// A DID document as its method hands it out (DID Core 1.0, Controlled Identifiers 1.0), read for the keys that the profile uses
// (profile section 1). A key that is not valid, or stands under neither purpose, does not hold; a document of which two readers
// could make two things is not read at all.

import type { DidDocument, Purpose, VerificationMethod } from './did-document.ts';
import { UnknownDid } from './did-document.ts';
import { MethodError, readAnyKey, readVerificationMethod } from './read-verification-method.ts';

/** Fields of the document with what is wrong with each, e.g. `verificationMethod[1].publicKeyJwk: the key is …`. */
interface Findings {
  /** The document cannot be read as that of the DID. */
  readonly fatal: string[];
  /** It can, without what is named here. */
  readonly leftOut: string[];
}

const PURPOSES = ['capabilityInvocation', 'assertionMethod'] as const satisfies readonly Purpose[];
const DID = /^did:[a-z0-9]+:[A-Za-z0-9._:%\x80-\u{10ffff}-]+$/u;
const FRAGMENT = /^#[A-Za-z0-9._~!$&'()*+,;=:@/?%-]{1,256}$/;
const MOST = { methods: 64, controllers: 32, references: 128 };

/**
 * @param untrusted strict JSON; who signed it is for the DID's method to say
 * @param versionId of the DID's log, where there is one
 * @throws {UnknownDid} when it is not the document of the DID, or not one that can be read
 */
export function readDidDocument(did: string, untrusted: unknown, versionId?: string | undefined): DidDocument {
  const findings: Findings = { fatal: [], leftOut: [] };
  const { controller, verificationMethods } = examine(did, untrusted, findings);
  if (findings.fatal[0] !== undefined) throw new UnknownDid(`the DID document cannot be read: ${findings.fatal[0]}`);
  return { did, controller, verificationMethods, versionId };
}

/**
 * What keeps a document from being registered: also the keys that a reader would only leave out, whatever they are for. Empty when
 * nothing does.
 */
export function findDocumentProblems(did: string, untrusted: unknown): string[] {
  const findings: Findings = { fatal: [], leftOut: [] };
  examine(did, untrusted, findings);
  const problems = [...findings.fatal, ...findings.leftOut];
  for (const { place, untrusted: method } of methodsOf(untrusted)) {
    try {
      readAnyKey(method);
    } catch (error) {
      if (!(error instanceof MethodError)) throw error;
      // Of one that is used the rest was looked at too.
      if (!problems.some((known) => known.startsWith(`${place}.`))) problems.push(`${place}.${error.member}: ${error.message}`);
    }
  }
  return problems;
}

/** Thumbprints of all keys in a document that was found without problems, of whatever purpose, the revoked ones included. */
export function thumbprintsIn(untrusted: unknown): string[] {
  return [...new Set(methodsOf(untrusted).flatMap(({ untrusted: method }) => readAnyKey(method)?.jkt ?? []))];
}

/** Relationships of DID Core that may hold a method by themselves. */
const HOLDERS = [
  'verificationMethod',
  'capabilityInvocation',
  'assertionMethod',
  'authentication',
  'keyAgreement',
  'capabilityDelegation',
] as const;

function methodsOf(document: unknown): Pick<Candidate, 'place' | 'untrusted'>[] {
  if (!isObject(document)) return [];
  return HOLDERS.flatMap((holder) => {
    const listed = document[holder];
    const methods = Array.isArray(listed) ? listed.slice(0, MOST.references) : [];
    return methods.flatMap((method, at) => (isObject(method) ? [{ place: `${holder}[${at}]`, untrusted: method }] : []));
  });
}

function examine(did: string, untrusted: unknown, findings: Findings) {
  const document = isObject(untrusted) ? untrusted : {};
  if (document.id !== did) findings.fatal.push('id: is not the DID');
  const controller = readControllers(document.controller, findings);
  const listed = listAt(document, 'verificationMethod', MOST.methods, findings);
  const candidates = listed.map((method, at) => candidateAt(did, method, `verificationMethod[${at}]`));
  for (const purpose of PURPOSES) {
    for (const [at, entry] of listAt(document, purpose, MOST.references, findings).entries()) {
      const place = `${purpose}[${at}]`;
      const found = typeof entry === 'string' ? find(did, entry, candidates) : candidateAt(did, entry, place);
      if (found === undefined) findings.leftOut.push(`${place}: is no verification method of the document`);
      else found.purposes.add(purpose);
      if (found !== undefined && typeof entry !== 'string') candidates.push(found);
    }
  }
  reportRepeated(candidates, findings);
  return { controller, verificationMethods: candidates.flatMap((candidate) => holding(did, candidate, findings)) };
}

/** A verification method before anyone has looked at its key. */
interface Candidate {
  /** Absolute. */
  readonly id: string | undefined;
  readonly place: string;
  readonly untrusted: Readonly<Record<string, unknown>>;
  readonly purposes: Set<Purpose>;
}

function candidateAt(did: string, method: unknown, place: string): Candidate {
  const untrusted = isObject(method) ? method : {};
  return { id: absolute(did, untrusted.id), place, untrusted, purposes: new Set() };
}

function find(did: string, reference: string, candidates: readonly Candidate[]): Candidate | undefined {
  const id = absolute(did, reference);
  return id === undefined ? undefined : candidates.find((candidate) => candidate.id === id);
}

/** Only what stands below the DID itself: a key of another DID is that one's to give. */
function absolute(did: string, id: unknown): string | undefined {
  if (typeof id !== 'string') return undefined;
  const fragment = id.startsWith('#') ? id : id.startsWith(`${did}#`) ? id.slice(did.length) : '';
  return FRAGMENT.test(fragment) ? did + fragment : undefined;
}

function holding(did: string, { id, place, untrusted, purposes }: Candidate, { leftOut }: Findings): VerificationMethod[] {
  // What is under no purpose that is used here may be of any kind, as long as no secret is in it.
  const secret = findSecret(untrusted);
  if (secret !== undefined) leftOut.push(`${place}.${secret}: has private key material`);
  if (purposes.size === 0 || secret !== undefined) return [];
  if (id === undefined) leftOut.push(`${place}.id: is not the DID with a fragment`);
  if (id === undefined) return [];
  try {
    const read = readVerificationMethod(did, untrusted);
    return read === undefined ? [] : [{ id, ...read, purposes: PURPOSES.filter((purpose) => purposes.has(purpose)) }];
  } catch (error) {
    if (!(error instanceof MethodError)) throw error;
    leftOut.push(`${place}.${error.member}: ${error.message}`);
    return [];
  }
}

/** The member of a method that gives its key away. */
function findSecret({ publicKeyJwk, ...others }: Readonly<Record<string, unknown>>): string | undefined {
  if (isObject(publicKeyJwk) && ('d' in publicKeyJwk || 'k' in publicKeyJwk)) return 'publicKeyJwk';
  return Object.keys(others).find((name) => /private|secret/i.test(name));
}

function reportRepeated(candidates: readonly Candidate[], { fatal }: Findings): void {
  const seen = new Set<string>();
  for (const { id, place } of candidates) {
    if (id !== undefined && seen.has(id)) fatal.push(`${place}.id: is that of another verification method`);
    if (id !== undefined) seen.add(id);
  }
}

function readControllers(controller: unknown, { fatal }: Findings): readonly string[] {
  if (controller === undefined) return [];
  const listed: unknown[] = Array.isArray(controller) ? controller : [controller];
  const dids = listed.filter((one) => typeof one === 'string' && one.length <= 4200 && DID.test(one)) as string[];
  if (dids.length === listed.length && listed.length <= MOST.controllers) return dids;
  fatal.push('controller: is not a DID or a list of DIDs');
  return [];
}

function listAt(
  document: Readonly<Record<string, unknown>>,
  name: string,
  most: number,
  { fatal }: Findings,
): readonly unknown[] {
  const value = document[name] ?? [];
  if (Array.isArray(value) && value.length <= most) return value;
  fatal.push(Array.isArray(value) ? `${name}: has more than ${most} entries` : `${name}: is not a list`);
  return [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
