// The logs as files at the locations of their DIDs (did:webvh 1.0, "The DID to HTTPS Transformation"). Whoever reads them verifies
// them: here the vault is a file server.

import { hash } from 'node:crypto';
import type { VaultStore } from '../vault/registry.ts';
import { type Call, defineOperation, type Operation, type Reply } from './operation.ts';
import { Problem } from './problem.ts';
import { agentParameters, noParameters, operatorParameters } from './schemas.ts';

const FILES = {
  log: { file: 'did.jsonl', mediaType: 'text/jsonl', id: 'Log', what: 'The log of the DID, every version a line' },
  witness: {
    file: 'did-witness.json',
    mediaType: 'application/json',
    id: 'Witness',
    what: 'The proofs of the witnesses of the log',
  },
} as const;

export function logOperations(store: Pick<VaultStore, 'readLogAt'>): Operation[] {
  return (['log', 'witness'] as const).flatMap((part) => {
    const { file, mediaType, id, what } = FILES[part];
    const common = {
      method: 'GET',
      summary: what,
      query: noParameters,
      responses: {
        200: {
          description: what,
          mediaType,
          headers: { etag: part === 'log' ? 'versionId of the last entry' : 'hash of the file' },
        },
        304: { description: 'Unchanged since the version in If-None-Match.' },
      },
      problems: ['not-found'],
    } as const;
    const answer = (folder: string, { raw }: Call<unknown, unknown>) =>
      serve(store, `/${folder}/did.jsonl`, part, raw.headers['if-none-match']);
    return [
      defineOperation({
        ...common,
        id: `getOperator${id}`,
        path: `/operators/{operator}/${file}`,
        parameters: operatorParameters,
        answer: (call) => answer(`operators/${call.parameters.operator}`, call),
      }),
      defineOperation({
        ...common,
        id: `getAgent${id}`,
        path: `/agents/{operator}/{agent}/${file}`,
        parameters: agentParameters,
        answer: (call) => answer(`agents/${call.parameters.operator}/${call.parameters.agent}`, call),
      }),
    ];
  });
}

function serve(
  store: Pick<VaultStore, 'readLogAt'>,
  path: string,
  part: 'log' | 'witness',
  ifNoneMatch: string | undefined,
): Reply {
  const found = store.readLogAt(path);
  const body = found?.[part];
  if (body === undefined) throw new Problem('not-found', 'No log is registered at this place, or it has no such file.');
  const etag = `"${part === 'log' ? lastVersionId(body) : hash('sha256', body, 'base64url')}"`;
  // Kept by whoever likes, and asked for again each time: a key that was dropped must not live on in a cache.
  const headers = { etag, 'cache-control': 'public, max-age=0, must-revalidate' };
  if (matches(ifNoneMatch, etag)) return { status: 304, headers };
  return { status: 200, headers, body };
}

function lastVersionId(log: string): string {
  const { versionId } = JSON.parse(log.trimEnd().split('\n').at(-1) ?? '') as { versionId: string };
  return versionId;
}

/** RFC 9110 section 13.1.2. */
function matches(field: string | undefined, etag: string): boolean {
  if (field === undefined) return false;
  return field.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}
