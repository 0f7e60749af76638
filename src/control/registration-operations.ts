// Operators and agents over the control API: the same operations for both kinds. What happens to a DID is said by the entry that
// is posted: an update, a rotation, a deactivation.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Kind, Registered, VaultStore } from '../vault/registry.ts';
import { acceptWrite, type WriteSettings } from './accept-write.ts';
import { badCursor, decodeCursor, encodeCursor } from './cursor.ts';
import type { KeptDocuments } from './kept-documents.ts';
import { defineOperation, type Operation } from './operation.ts';
import { Problem, type ProblemCode, SIGNED_PROBLEMS } from './problem.ts';
import { registrationView } from './registration-view.ts';
import {
  didParameter,
  noParameters,
  pageQuery,
  posted,
  registration,
  registrationPage,
  registrationQuery,
  versionPage,
} from './schemas.ts';

export interface RegistrationSettings extends WriteSettings {
  readonly store: VaultStore;
  readonly documents: KeptDocuments;
}

const WRITE_PROBLEMS: readonly ProblemCode[] = [
  ...SIGNED_PROBLEMS,
  'not-controller',
  'content-too-large',
  'unsupported-media-type',
  'invalid-body',
  'not-admitted',
  'idempotency-key-reused',
  'key-already-registered',
  'too-many-requests',
];

const CREATED = {
  description: 'Kept: durable, served, and told to those who follow the changes.',
  schema: registration,
  headers: {
    location: 'path of the registration',
    'idempotency-replayed': '`true` when this is the answer to an earlier request with the same idempotency key',
  },
};
/** Reading keys is work; after so many other callers have their turn. */
const READ_AT_A_TIME = 10;

export function registrationOperations(kind: Kind, settings: RegistrationSettings): Operation[] {
  const { store, documents, origin } = settings;
  const kinds = `${kind}s`;
  const noun = kind === 'operator' ? 'Operator' : 'Agent';
  const view = (registered: Registered) => registrationView(registered, documents.read(registered), origin);
  const find = (did: string) => {
    const registered = store.find(did);
    if (registered?.kind === kind) return registered;
    throw new Problem('not-registered', `No ${kind} of this DID is registered here.`);
  };
  return [
    defineOperation({
      id: `register${noun}`,
      method: 'POST',
      path: `/v1/${kinds}`,
      summary: kind === 'operator' ? 'Registers an operator' : 'Registers an agent',
      description:
        kind === 'operator'
          ? 'The operator signs with a key of the document that it posts, and must be listed in the configuration of the vault.'
          : 'The document names the operator that signs the request as its `controller`, and stands under the name of that operator.',
      parameters: noParameters,
      query: noParameters,
      body: posted,
      responses: { 201: CREATED },
      problems: [...WRITE_PROBLEMS, 'already-registered'],
      answer: ({ request }) => acceptWrite(request, kind, undefined, settings),
    }),
    defineOperation({
      id: `list${noun}s`,
      method: 'GET',
      path: `/v1/${kinds}`,
      summary: `Lists ${kinds} in the order of their registration`,
      parameters: noParameters,
      query: registrationQuery,
      responses: { 200: { description: 'A page.', schema: registrationPage } },
      problems: [],
      answer: async ({ query: { operator, cursor, limit } }) => {
        const list = `${kinds} ${operator ?? ''}`;
        const page = readPage(store, kind, operator, decodeCursor(list, cursor), limit);
        const items = [];
        for (const [at, registered] of page.items.entries()) {
          items.push(view(registered));
          if (at % READ_AT_A_TIME === READ_AT_A_TIME - 1) await nextTurn();
        }
        const next = page.next === undefined ? {} : { next: encodeCursor(list, page.next) };
        return { status: 200, body: { items, ...next } };
      },
    }),
    defineOperation({
      id: `get${noun}`,
      method: 'GET',
      path: `/v1/${kinds}/{did}`,
      summary: `Shows one ${kind}`,
      parameters: didParameter,
      query: noParameters,
      responses: { 200: { description: 'The registration.', schema: registration } },
      problems: ['not-registered'],
      answer: ({ parameters: { did } }) => ({ status: 200, body: view(find(did)) }),
    }),
    defineOperation({
      id: `list${noun}Versions`,
      method: 'GET',
      path: `/v1/${kinds}/{did}/versions`,
      summary: 'Lists the versions of a DID, first to last',
      parameters: didParameter,
      query: pageQuery,
      responses: { 200: { description: 'A page.', schema: versionPage } },
      problems: ['not-registered'],
      answer: ({ parameters: { did }, query: { cursor, limit } }) => {
        find(did);
        const from = readVersionNumber(decodeCursor(`versions ${did}`, cursor));
        const versions = documents.versions(did);
        const items = versions.slice(from, from + limit).map(({ versionId, versionTime, line }, at) => ({
          version: from + at + 1,
          versionId,
          versionTime: new Date(versionTime).toISOString(),
          entry: line,
        }));
        const to = from + items.length;
        const next = to < versions.length ? { next: encodeCursor(`versions ${did}`, String(to)) } : {};
        return { status: 200, body: { items, ...next } };
      },
    }),
    defineOperation({
      id: `append${noun}Version`,
      method: 'POST',
      path: `/v1/${kinds}/{did}/versions`,
      summary: 'Updates, rotates or deactivates a DID, as the entry says',
      description: 'The entry follows the newest version, and its author is an operator whom that version names as controller.',
      parameters: didParameter,
      query: noParameters,
      body: posted,
      responses: { 201: CREATED },
      problems: [...WRITE_PROBLEMS, 'not-registered', 'stale-version', 'deactivated'],
      answer: ({ request, parameters: { did } }) => acceptWrite(request, kind, did, settings),
    }),
  ];
}

/** @throws {Problem} for a position that is none */
export function readPage(
  store: VaultStore,
  kind: Kind,
  operator: string | undefined,
  position: string | undefined,
  limit: number,
) {
  try {
    return store.list(kind, operator, position, limit);
  } catch (error) {
    if (error instanceof RangeError) throw badCursor();
    throw error;
  }
}

function readVersionNumber(position: string | undefined): number {
  if (position === undefined) return 0;
  if (!/^[1-9][0-9]{0,8}$/.test(position)) throw badCursor();
  return Number(position);
}
