// DIDs of others and the URLs that they lead to, or that they may lead nowhere.

import { expect, test } from 'vitest';
import { UnknownDid } from '../../src/vault/did-document.ts';
import { locationOfDidWeb, locationOfDidWebvh } from '../../src/vault/did-location.ts';
import { describeShared, readShared } from './vectors.ts';

describeShared('did:web locations', () => {
  const mappings =
    readShared<readonly { did: string; url: string | null; expect: string; why: string }[]>('did/web-url-mapping.json');

  test.each(mappings.map(({ did, url, why }) => [did, url, why] as const))('%s is at %s %s', (did, url) => {
    if (url === null) expect(() => locationOfDidWeb(did)).toThrow(UnknownDid);
    else expect(locationOfDidWeb(did).href).toBe(url);
  });
});

describeShared('did:webvh locations', () => {
  const cases = readShared<readonly { id: string; did: string; expect: string; why?: string }[]>('did/webvh/cases.json');
  const hidden = cases.filter(({ id }) => /^negative-.*-ip\b/.test(id));

  test('there are addresses among them', () => {
    expect(hidden.length).toBeGreaterThanOrEqual(4);
  });

  test.each(hidden.map(({ id, did, why = '' }) => [id, did, why] as const))('%s: %s leads nowhere: %s', (_id, did) => {
    expect(() => locationOfDidWebvh(did)).toThrow(UnknownDid);
    // Their SCID is none either: the host has to be reason enough.
    const [, , , ...rest] = did.split(':');
    const other = ['did:webvh:QmPEQVM1JPTyrvEgBcDXwjK4TeyLGSX1PxjgyeAisdWM1p', ...rest].join(':');
    expect(() => locationOfDidWebvh(other)).toThrow(/host/);
  });

  test.each(cases.filter(({ expect: verdict }) => verdict === 'valid').map(({ id, did }) => [id, did] as const))(
    '%s: %s has one',
    (_id, did) => {
      expect(locationOfDidWebvh(did).log.href).toMatch(/^https:\/\/example\.com\/.*did\.jsonl$/);
    },
  );
});
