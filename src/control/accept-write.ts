// A write from its signature to its answer: authenticated, admitted, kept. It is kept as a whole or not at all, and once; the
// answer is kept with it, so that a repetition under the same idempotency key gets the same one.

import type { Logger } from 'pino';
import type { z } from 'zod';
import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';
import type { InboundRequest } from '../request.ts';
import { type AdmissionSettings, admitRegistration, admitVersion, NotAdmitted } from '../vault/admit.ts';
import { type DidDocument, UnavailableDid, UnknownDid } from '../vault/did-document.ts';
import { readPostedEntry } from '../vault/posted-entry.ts';
import { readDidDocument } from '../vault/read-did-document.ts';
import {
  type Answer,
  type Kind,
  RegistryConflict,
  type VaultStore,
  type WriteConflict,
  type WriteOnce,
} from '../vault/registry.ts';
import { type AuthenticateWrite, alreadySeen } from './authenticate-write.ts';
import type { Reply } from './operation.ts';
import { type FieldError, Problem, type ProblemCode } from './problem.ts';
import { type RegistrationView, registrationView } from './registration-view.ts';
import { posted } from './schemas.ts';

export interface WriteSettings extends AdmissionSettings {
  readonly store: VaultStore;
  readonly authenticate: AuthenticateWrite;
  readonly log: Logger;
}

const CREATED = 201;

/** @param did the DID that gets a new version; `undefined` for a new registration @throws {Problem} */
export async function acceptWrite(
  request: InboundRequest,
  kind: Kind,
  did: string | undefined,
  settings: WriteSettings,
): Promise<Reply> {
  const { store } = settings;
  // An operator that is new, or has lost its signing key, signs with a key of the document that it posts. That is worth nothing by
  // itself: the entry is kept only when its own proof, by the key that the log committed to, holds.
  const write = await settings.authenticate(request, (author) =>
    kind === 'operator' ? introducedDocument(request.body, author) : undefined,
  );
  const before = answered(store, write);
  if (before !== undefined) return repeatedReply(kind, before);
  try {
    const kept = await keep(request.body, kind, did, write, settings);
    settings.log.info(
      { author: write.author, did: kept.did, version: kept.version, deactivated: kept.deactivated },
      'version kept',
    );
    return reply(kind, kept);
  } catch (error) {
    // The same request may have been kept while this one was being looked at.
    const meanwhile = answered(store, write);
    if (meanwhile !== undefined) return repeatedReply(kind, meanwhile);
    throw toProblem(error) ?? error;
  }
}

async function keep(
  body: Uint8Array,
  kind: Kind,
  did: string | undefined,
  write: WriteOnce,
  settings: WriteSettings,
): Promise<RegistrationView> {
  const { store, origin } = settings;
  const { entry, witness } = readBody(body);
  const wanted = { kind, entry, witness, author: write.author };
  if (did === undefined) {
    const { admitted, document } = await admitRegistration(wanted, settings);
    const { log, operator, path } = admitted;
    const view = registrationView({ kind, operator, path, ...shownOf(log) }, document, origin);
    await store.register(admitted, write, answerOf(view));
    return view;
  }
  const { admitted, document } = await admitVersion(did, wanted, settings);
  const registered = store.find(did);
  if (registered === undefined) throw new RegistryConflict('not-registered', 'the DID went away');
  const view = registrationView({ ...registered, ...shownOf(admitted.log) }, document, origin);
  await store.append(admitted, write, answerOf(view));
  return view;
}

function shownOf(log: {
  readonly versionIds: readonly string[];
  readonly versionId: string;
  readonly created: number;
  readonly versionTime: number;
  readonly deactivated: boolean;
}) {
  const { versionIds, versionId, created, versionTime, deactivated } = log;
  return { version: versionIds.length, versionId, created, updated: versionTime, deactivated };
}

function answerOf(view: RegistrationView): Answer {
  return { status: CREATED, body: JSON.stringify(view) };
}

function reply(kind: Kind, view: RegistrationView): Reply {
  return { status: CREATED, headers: { location: `/v1/${kind}s/${encodeURIComponent(view.did)}` }, body: view };
}

function repeatedReply(kind: Kind, { status, body }: Answer): Reply {
  const first = reply(kind, JSON.parse(body) as RegistrationView);
  return { ...first, status, headers: { ...first.headers, 'idempotency-replayed': 'true' } };
}

function answered(store: VaultStore, write: WriteOnce): Answer | undefined {
  if (write.idempotencyKey === undefined) return undefined;
  try {
    return store.answered(write);
  } catch (error) {
    throw toProblem(error) ?? error;
  }
}

/** An operator that is not registered yet signs with a key of the document that it posts, which is verified before it is kept. */
function introducedDocument(body: Uint8Array, author: string): DidDocument | undefined {
  try {
    const entry = readPostedEntry(readBody(body).entry);
    if ('field' in entry || entry.untrustedDid !== author) return undefined;
    return readDidDocument(author, entry.untrustedState, undefined);
  } catch (error) {
    if (error instanceof Problem || error instanceof UnknownDid) return undefined;
    throw error;
  }
}

/** @throws {Problem} */
function readBody(bytes: Uint8Array): z.infer<typeof posted> {
  let body: unknown;
  try {
    body = parseStrictJson(bytes);
  } catch (error) {
    if (error instanceof JsonError)
      throw new Problem('malformed-request', `The body is ${error.message}.`, {
        errors: [{ field: 'body', detail: `is ${error.message}` }],
      });
    throw error;
  }
  const result = posted.safeParse(body);
  if (result.success) return result.data;
  throw new Problem('invalid-body', 'The body does not have the form that it must have.', { errors: fieldErrors(result.error) });
}

export function fieldErrors({ issues }: z.ZodError): FieldError[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map(String);
    if (issue.code !== 'unrecognized_keys') return [{ field: path.join('.') || 'body', detail: issue.message }];
    return issue.keys.map((name) => ({ field: [...path, name].join('.'), detail: 'is not known here' }));
  });
}

const CONFLICTS: Readonly<Record<WriteConflict, readonly [code: ProblemCode, detail: string]>> = {
  'nonce-used': ['nonce-replayed', ''],
  'idempotency-key-reused': ['idempotency-key-reused', 'Another request has this idempotency key: choose a new one.'],
  'already-registered': ['already-registered', 'This DID, or another one of the same name, is registered: nothing changed.'],
  'key-already-registered': ['key-already-registered', 'A key belongs to one DID for good: make a new one.'],
  'stale-version': ['stale-version', 'Another entry came first: read the log again and build on it.'],
  'not-registered': ['not-registered', 'The DID is not registered here.'],
  deactivated: ['deactivated', 'The DID is deactivated: its log takes no more entries.'],
};

function toProblem(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  if (error instanceof NotAdmitted) return new Problem(error.refusal, error.message, { errors: error.errors });
  if (error instanceof RegistryConflict) {
    const [code, detail] = CONFLICTS[error.conflict];
    return code === 'nonce-replayed' ? alreadySeen() : new Problem(code, detail);
  }
  if (error instanceof UnavailableDid)
    return new Problem('unavailable', 'The log could not be verified now: send it again.', { cause: error });
  return undefined;
}
