// What the vault says of itself: its changes as they happen, its health, and its own description.

import type { VaultStore } from '../vault/registry.ts';
import type { ChangeWaiters } from './change-waiters.ts';
import { defineOperation, type Operation } from './operation.ts';
import { changes, changesQuery, health, noParameters, openapi } from './schemas.ts';

const MOST_CHANGES = 200;

export function changesOperation(store: VaultStore, waiters: ChangeWaiters): Operation {
  return defineOperation({
    id: 'listChanges',
    method: 'GET',
    path: '/v1/changes',
    summary: 'Tells what has changed, and waits for it',
    description:
      'Ask without `after` first, then with the `sequence` of the last change and the `epoch` of the answer before. Another `epoch`, or a `last` less than `after`: forget what is known of this vault and ask without `after` again.',
    parameters: noParameters,
    query: changesQuery,
    responses: { 200: { description: 'The changes there are, none when the time is over.', schema: changes } },
    problems: [],
    answer: async ({ query: { after, epoch, wait }, gone }) => {
      const { epoch: current } = store;
      const news = () => {
        const last = store.lastSequence();
        const known =
          after === undefined || (epoch !== undefined && epoch !== current) ? undefined : store.changesAfter(after, MOST_CHANGES);
        return {
          epoch: current,
          changes: (known ?? []).map(({ sequence, did, versionId }) => ({ sequence, did, versionId })),
          last,
        };
      };
      const now = news();
      if (wait === 0 || now.changes.length > 0 || after !== now.last || (epoch !== undefined && epoch !== current))
        return { status: 200, body: now };
      await waiters.wait(wait * 1000, gone);
      return { status: 200, body: news() };
    },
  });
}

export function healthOperation(store: VaultStore): Operation {
  return defineOperation({
    id: 'getHealth',
    method: 'GET',
    path: '/v1/health',
    summary: 'Says whether the vault can serve',
    parameters: noParameters,
    query: noParameters,
    responses: { 200: { description: 'It can.', schema: health } },
    problems: [],
    answer: () => {
      store.lastSequence();
      return { status: 200, body: { status: 'serving' } };
    },
  });
}

/** @param describe makes the document, of all operations */
export function openApiOperation(describe: () => unknown): Operation {
  return defineOperation({
    id: 'getOpenApi',
    method: 'GET',
    path: '/v1/openapi.json',
    summary: 'This document',
    parameters: noParameters,
    query: noParameters,
    responses: { 200: { description: 'An OpenAPI 3.1 document.', schema: openapi } },
    problems: [],
    answer: () => ({ status: 200, body: describe() }),
  });
}
