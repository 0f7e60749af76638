// The directory of keys for Web Bot Auth: a signed JWK Set at a well-known place (draft-meunier-webbotauth-httpsig-directory-00,
// before draft-meunier-http-message-signatures-directory). The vault signs it with a key of its own, since it holds no agent's.

import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type InnerList, serializeInnerList } from 'structured-headers';
import type { z } from 'zod';
import { contentDigest } from '../crypto/content-digest.ts';
import { type PrivateKey, signBytes } from '../crypto/private-key.ts';
import type { InboundRequest } from '../request.ts';
import type { DidDocument, VerificationMethod } from '../vault/did-document.ts';
import type { VaultStore } from '../vault/registry.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { KeptDocuments } from './kept-documents.ts';
import { defineOperation, type Operation, type Reply } from './operation.ts';
import { Problem } from './problem.ts';
import { readPage } from './registration-operations.ts';
import { directoryQuery, keyDirectory, noParameters } from './schemas.ts';

export const DIRECTORY_MEDIA_TYPE = 'application/http-message-signatures-directory+json';
const PATH = '/.well-known/http-message-signatures-directory';
const LIFETIME_SECONDS = 300;
const READ_AT_A_TIME = 10;

export interface DirectorySettings {
  readonly store: VaultStore;
  readonly documents: KeptDocuments;
  readonly key: PrivateKey | undefined;
  /** Host of the vault's origin. */
  readonly authority: string;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

type PublishedKey = z.infer<typeof keyDirectory>['keys'][number];

export function directoryOperation(settings: DirectorySettings): Operation {
  const { key, authority } = settings;
  return defineOperation({
    id: 'getKeyDirectory',
    method: 'GET',
    path: PATH,
    summary: 'The current keys of an agent, or of all agents, as a signed JWK Set',
    description:
      'The signature is tagged `http-message-signatures-directory` and is made with the key of the vault (`control.key`), which stands at the end of the first page of all, without a `controller`: it says that the vault lists these keys. That they are the agent’s is said by the log of the DID in `controller`.',
    parameters: noParameters,
    query: directoryQuery,
    responses: {
      200: {
        description: 'The keys.',
        mediaType: DIRECTORY_MEDIA_TYPE,
        schema: keyDirectory,
        headers: {
          link: '`rel="next"`: the next page',
          'content-digest': 'RFC 9530',
          'signature-input': 'RFC 9421',
          signature: 'RFC 9421',
        },
      },
    },
    problems: ['not-registered', 'directory-off', 'misdirected'],
    answer: async ({ query: { agent, cursor, limit }, request }) => {
      if (key === undefined)
        throw new Problem('directory-off', 'To publish one, set control.key to an Ed25519 key of the vault.');
      // What it signs, the vault says as itself only.
      if (request.authority !== authority) throw new Problem('misdirected', 'The Host must be that of the origin of the vault.');
      const { keys, next } = agent === undefined ? await readAll(settings, cursor, limit) : readOne(settings, agent);
      const isFirst = agent === undefined && cursor === undefined;
      const query = next === undefined ? undefined : `${PATH}?${new URLSearchParams({ cursor: next, limit: String(limit) })}`;
      return signedReply(
        JSON.stringify({ keys: isFirst ? [...keys, ownKey(key)] : keys }),
        query && `<${query}>; rel="next"`,
        request,
        key,
        settings.clock(),
      );
    },
  });
}

function readOne({ store, documents, clock }: DirectorySettings, agent: string): { keys: PublishedKey[]; next?: string } {
  const registered = store.find(agent);
  if (registered?.kind !== 'agent') throw new Problem('not-registered', 'No agent of this DID is registered here.');
  return { keys: keysOf(documents.read(registered), documents, clock()) };
}

async function readAll(
  { store, documents, clock }: DirectorySettings,
  cursor: string | undefined,
  limit: number,
): Promise<{ keys: PublishedKey[]; next?: string }> {
  const page = readPage(store, 'agent', undefined, decodeCursor('directory', cursor), limit);
  const keys: PublishedKey[] = [];
  for (const [at, registered] of page.items.entries()) {
    keys.push(...keysOf(documents.read(registered), documents, clock()));
    if (at % READ_AT_A_TIME === READ_AT_A_TIME - 1) await nextTurn();
  }
  return page.next === undefined ? { keys } : { keys, next: encodeCursor('directory', page.next) };
}

function keysOf(document: DidDocument, documents: KeptDocuments, now: number): PublishedKey[] {
  const current = document.verificationMethods.filter(
    ({ purposes, expires }) => purposes.includes('capabilityInvocation') && (expires === undefined || now < expires),
  );
  if (current.length === 0) return [];
  const firstSeen = documents.firstSeen(document);
  return current.map((method) => publishedKey(document.did, method, firstSeen.get(method.key.jkt)));
}

/** Without `alg`, whose names here would be those of RFC 9421 and not of JOSE, which nothing that reads a JWK knows. */
function publishedKey(did: string, { key, expires }: VerificationMethod, since: number | undefined): PublishedKey {
  const { alg: _, ...material } = key.jwk;
  return {
    ...(material as Pick<PublishedKey, 'kty'>),
    kid: key.jkt,
    use: 'sig',
    ...(since !== undefined && { nbf: Math.floor(since / 1000) }),
    ...(expires !== undefined && { exp: Math.floor(expires / 1000) }),
    controller: did,
  };
}

/** Whoever reads the directory finds here what it is signed with; it is no agent's. */
function ownKey({ publicKey }: PrivateKey): PublishedKey {
  const { alg: _, ...material } = publicKey.jwk;
  return { ...(material as Pick<PublishedKey, 'kty'>), kid: publicKey.jkt, use: 'sig' };
}

/** RFC 9421 section 2.4: what the request asked is covered too, or the keys of one agent could be shown as those of another. */
function signedReply(body: string, link: string | undefined, request: InboundRequest, key: PrivateKey, now: number): Reply {
  const digest = contentDigest(Buffer.from(body));
  const ofRequest = new Map([['req', true]]);
  const covered: [name: string, value: string, parameters: Map<string, boolean>][] = [
    ['@authority', request.authority, ofRequest],
    ['@path', request.path, ofRequest],
    ['@query', request.query, ofRequest],
    ['content-type', DIRECTORY_MEDIA_TYPE, new Map()],
    ['content-digest', digest, new Map()],
    ...(link === undefined ? [] : [['link', link, new Map()] as [string, string, Map<string, boolean>]]),
  ];
  const created = Math.floor(now / 1000);
  const parameters = new Map<string, string | number>([
    ['created', created],
    ['expires', created + LIFETIME_SECONDS],
    ['nonce', randomBytes(16).toString('base64url')],
    ['keyid', key.publicKey.jkt],
    ['tag', 'http-message-signatures-directory'],
  ]);
  const list: InnerList = [covered.map(([name, , flags]) => [name, flags]), parameters];
  const lines = covered.map(([name, value, flags]) => `"${name}"${flags.has('req') ? ';req' : ''}: ${value}`);
  const base = `${lines.join('\n')}\n"@signature-params": ${serializeInnerList(list)}`;
  return {
    status: 200,
    headers: {
      'cache-control': 'public, max-age=60',
      'content-digest': digest,
      'signature-input': `directory=${serializeInnerList(list)}`,
      signature: `directory=:${signBytes(key, Buffer.from(base, 'latin1')).toString('base64')}:`,
      ...(link !== undefined && { link }),
    },
    body,
  };
}
