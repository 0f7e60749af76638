import { describe, expect, it } from 'vitest';
import {
  agentState,
  dateTime,
  dropExpired,
  expireKeys,
  findHolding,
  keysOf,
  nextKeyNumber,
  operatorState,
  withKey,
  withoutKeys,
} from '../../src/operator/did-state.ts';
import { findDocumentProblems, readDidDocument } from '../../src/vault/read-did-document.ts';
import { keyOf } from '../keys.ts';

const did = 'did:webvh:QmVLkPa6csAvYVXphi5yFapjeFzJaAwTWXQetwkohWXrL7:vault.example:agents:acme:reader';
const operator = 'did:webvh:QmVLkPa6csAvYVXphi5yFapjeFzJaAwTWXQetwkohWXrL7:vault.example:operators:acme';
const [first, second] = [keyOf('first').publicKey, keyOf('second', 'ES256').publicKey];
const NOW = Date.parse('2026-05-04T10:00:00Z');
const invoking = { number: 2, purposes: ['capabilityInvocation'] } as const;

describe('the documents that are published', () => {
  it('are accepted by the reader of every gateway', () => {
    for (const state of [operatorState(operator, first), agentState(did, operator, second)])
      expect(findDocumentProblems(String(state.id), state)).toEqual([]);
    const own = readDidDocument(operator, operatorState(operator, first));
    expect(own.verificationMethods).toMatchObject([{ id: `${operator}#key-1`, key: { jkt: first.jkt } }]);
    expect(own.verificationMethods[0]?.purposes.toSorted()).toEqual(['assertionMethod', 'capabilityInvocation']);
    const agent = readDidDocument(did, agentState(did, operator, second));
    expect(agent.controller).toEqual([operator]);
    expect(agent.verificationMethods).toMatchObject([{ purposes: ['capabilityInvocation'], key: { jkt: second.jkt } }]);
  });

  it('have both keys during an overlap, and the new one alone afterwards', () => {
    const both = withKey(expireKeys(agentState(did, operator, first), NOW + 600_000), second, invoking);
    expect(findDocumentProblems(did, both)).toEqual([]);
    const read = readDidDocument(did, both).verificationMethods;
    expect(read.map(({ id, expires }) => [id, expires])).toEqual([
      [`${did}#key-1`, NOW + 600_000],
      [`${did}#key-2`, undefined],
    ]);
    expect(findHolding(both, first, NOW + 599_999)?.id).toBe(`${did}#key-1`);
    expect(findHolding(both, first, NOW + 600_000)).toBeUndefined();
    expect(dropExpired(both, NOW + 599_999)).toBe(both);
    const after = dropExpired(both, NOW + 600_000);
    expect(findDocumentProblems(did, after)).toEqual([]);
    expect([keysOf(after).map(({ id }) => id), after.capabilityInvocation]).toEqual([[`${did}#key-2`], [`${did}#key-2`]]);
  });

  it('end a key earlier but never later, at once where there is no overlap', () => {
    const soon = expireKeys(agentState(did, operator, first), NOW + 1000);
    expect(keysOf(expireKeys(soon, NOW + 5000))[0]?.expires).toBe(NOW + 1000);
    expect(keysOf(expireKeys(soon, NOW))[0]?.expires).toBe(NOW);
    expect(keysOf(dropExpired(expireKeys(soon, NOW + 400), NOW + 400))).toEqual([]);
  });

  it('give no number twice, that of a key that was dropped included', () => {
    const before = agentState(did, operator, first);
    const after = withKey(withoutKeys(before), second, invoking);
    expect(nextKeyNumber([before])).toBe(2);
    expect(nextKeyNumber([before, after])).toBe(3);
    expect(nextKeyNumber([withKey(before, second, { ...invoking, number: 9 }), before])).toBe(10);
  });

  it('keep what else stands in them', () => {
    const service = [{ id: '#files', type: 'relativeRef' }];
    const before = { ...agentState(did, operator, first), service };
    for (const after of [
      withoutKeys(before),
      expireKeys(before, NOW),
      dropExpired(expireKeys(before, NOW), NOW),
      withKey(before, second, invoking),
    ])
      expect(after).toMatchObject({ service, controller: operator, id: did });
  });

  it('show a method of another kind without a key, and leave it where it is', () => {
    const odd = { id: `${did}#key-7`, type: 'Multikey', publicKeyMultibase: 'z6Mk' };
    const state = { ...agentState(did, operator, first), verificationMethod: [odd, 'text'] };
    expect(keysOf(state)).toEqual([{ id: `${did}#key-7`, key: undefined, purposes: [], expires: undefined }]);
    expect(nextKeyNumber([state])).toBe(8);
    expect(dropExpired(expireKeys(state, NOW), NOW - 1).verificationMethod).toEqual([{ ...odd, expires: dateTime(NOW) }, 'text']);
  });
});
