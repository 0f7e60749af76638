// What each version changed, out of a log that the writer made and the verifier verified.

import { randomBytes } from 'node:crypto';
import { afterAll, expect, it } from 'vitest';
import { agentState, type DidState, dropExpired, expireKeys, withKey, withoutKeys } from '../../src/operator/did-state.ts';
import { historyOf } from '../../src/operator/log-history.ts';
import { firstEntry, nextEntry } from '../../src/vault/webvh/author-log.ts';
import { LogVerifier } from '../../src/vault/webvh/log-verifier.ts';
import { deriveUpdateKey } from '../../src/vault/webvh/update-key.ts';
import { keyOf } from '../keys.ts';

const location = 'vault.example:agents:acme:reader';
const seed = randomBytes(32);
const keyAt = (version: number) => deriveUpdateKey(seed, location, version);
const verifier = LogVerifier.start();
afterAll(() => verifier.close());
const START = Date.parse('2026-05-04T10:00:00Z');

it('is told version by version', async () => {
  const [old, young] = [keyOf('old').publicKey, keyOf('young').publicKey];
  const first = firstEntry({
    location,
    state: (did) => agentState(did, 'did:key:z6MkOperator', old),
    updateKey: keyAt(1),
    nextUpdateKey: keyAt(2).publicKey,
    now: START,
  });
  const lines = [first.line];
  const { did } = first;
  const next = async (change: (state: DidState) => DidState, deactivate = false) => {
    const log = await verifier.verify({ did, log: lines.join('\n'), witness: undefined, now: START + 3_600_000 });
    const version = lines.length + 1;
    const keys = { updateKey: keyAt(version), nextUpdateKey: keyAt(version + 1).publicKey };
    lines.push(nextEntry({ log, state: change(log.state), ...keys, now: START + version * 60_000, deactivate }).line);
  };
  const end = START + 600_000;
  await next((state) => withKey(expireKeys(state, end), young, { number: 2, purposes: ['capabilityInvocation'] }));
  await next((state) => dropExpired(state, end));
  await next((state) => ({ ...state, controller: ['did:key:z6MkOther'], service: [] }));
  await next((state) => state);
  await next(withoutKeys, true);
  expect((await verifier.verify({ did, log: lines.join('\n'), witness: undefined, now: end })).deactivated).toBe(true);

  const [one, two] = [`${did}#key-1`, `${did}#key-2`];
  const history = historyOf(lines);
  expect(history.map(({ changes }) => changes)).toEqual([
    [
      { change: 'key-added', what: one, thumbprint: old.jkt },
      { change: 'controller', what: 'did:key:z6MkOperator' },
    ],
    [
      { change: 'key-expiring', what: one, thumbprint: old.jkt, expires: end },
      { change: 'key-added', what: two, thumbprint: young.jkt },
    ],
    [{ change: 'key-dropped', what: one, thumbprint: old.jkt }],
    [
      { change: 'controller', what: 'did:key:z6MkOther' },
      { change: 'document', what: did },
    ],
    [],
    [
      { change: 'key-dropped', what: two, thumbprint: young.jkt },
      { change: 'deactivated', what: did },
    ],
  ]);
  expect(history.map(({ version, time }) => [version, time]).at(1)).toEqual([2, '2026-05-04T10:02:00Z']);
});
