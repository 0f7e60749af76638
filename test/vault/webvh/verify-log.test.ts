// What is no unbroken history of a DID is refused (docs/threat-model.md E12), through the thread that verifies in production.

import { base58 } from '@scure/base';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { generatePrivateKey } from '../../../src/crypto/private-key.ts';
import { type LogToVerify, LogVerifier } from '../../../src/vault/webvh/log-verifier.ts';
import { VersionNotFound } from '../../../src/vault/webvh/select-version.ts';
import { InvalidLog, type VerifiedLog } from '../../../src/vault/webvh/verified-log.ts';
import { keyOf } from '../../keys.ts';
import { libraryAccepts } from './library.ts';
import {
  commitment,
  didOf,
  type Entry,
  first,
  history,
  LOCATION,
  multikey,
  NOW,
  next,
  proofOver,
  START,
  seal,
  textOf,
  timeOf,
  unsigned,
  updateKey,
  witnessFile,
} from './log-maker.ts';

const verifier = LogVerifier.start();
afterAll(() => verifier.close());

function verify(entries: readonly unknown[], changes: Partial<LogToVerify> = {}): Promise<VerifiedLog> {
  return verifier.verify({ did: undefined, log: textOf(entries), witness: undefined, now: NOW, ...changes });
}

async function refusal(entries: readonly unknown[], changes: Partial<LogToVerify> = {}): Promise<string> {
  const error = await verify(entries, changes).then(
    () => new Error('accepted'),
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(InvalidLog);
  return error instanceof Error ? error.message : '';
}

const three = history(3);
const [one, two, last] = three;
if (one === undefined || two === undefined || last === undefined) throw new Error('three entries');
const did = didOf(one);

function changed(entry: Entry, change: (copy: Entry) => void): Entry {
  const copy = structuredClone(entry);
  change(copy);
  return copy;
}

describe('a log in order', () => {
  test('says what its last entry says', async () => {
    expect(await verify(three, { did })).toEqual({
      did,
      versionIds: three.map(({ versionId }) => versionId),
      versionId: last.versionId,
      versionTime: START + 180_000,
      created: START + 60_000,
      deactivated: false,
      state: last.state,
      parameters: {
        scid: did.split(':')[2],
        portable: true,
        updateKeys: [multikey(updateKey(3))],
        nextKeyHashes: [commitment(updateKey(4))],
        witnessed: false,
        ttl: undefined,
      },
    });
  });

  test('may end without a line end, and have white space where JSON has it', async () => {
    const log = three.map((entry) => JSON.stringify(entry, null, ' ').replaceAll('\n', ' ')).join('\n');
    expect((await verify([], { log })).versionIds).toHaveLength(3);
  });

  test('keeps the ttl and other parameters until they change', async () => {
    const a = first({ parameters: { ttl: 60 } });
    const b = next(a);
    const c = next(b, { parameters: { ttl: 0, portable: false } });
    expect((await verify([a, b])).parameters).toMatchObject({ ttl: 60, portable: true });
    expect((await verify([a, b, c])).parameters).toMatchObject({ ttl: 0, portable: false });
  });

  test('may go without pre-rotation: the keys of the entry before sign', async () => {
    const plain = { nextKeyHashes: undefined };
    const a = first({ parameters: plain });
    const b = next(a, { parameters: { ...plain, updateKeys: [multikey(updateKey(9))] }, key: updateKey(1) });
    const c = next(b, { parameters: { ...plain, updateKeys: undefined }, key: updateKey(9) });
    expect((await verify([a, b, c])).parameters).toMatchObject({ updateKeys: [multikey(updateKey(9))], nextKeyHashes: [] });
    expect(await refusal([a, next(a, { parameters: plain, key: updateKey(2) })])).toContain('not authorized');
  });

  test('may have more proofs than one, all of which hold', async () => {
    const keys = [updateKey(1), updateKey(7)];
    const a = first({ parameters: { updateKeys: keys.map(multikey) } });
    const both = { ...a, proof: keys.map((key) => proofOver(unsigned(a), key)) };
    expect((await verify([both])).did).toBe(didOf(a));
    const stranger = { ...a, proof: [updateKey(1), updateKey(8)].map((key) => proofOver(unsigned(a), key)) };
    expect(await refusal([stranger])).toContain('not authorized');
  });
});

describe('a log that was changed', () => {
  const stranger = updateKey(66);
  const cases: [string, readonly unknown[], string][] = [
    [
      'the state of the first entry',
      [changed(one, ({ state }) => Object.assign(state, { controller: 'did:key:z6Mk' })), two, last],
      'hash',
    ],
    ['the state of the last entry', [one, two, changed(last, ({ state }) => Object.assign(state, { x: 1 }))], 'hash'],
    ['a parameter', [one, changed(two, ({ parameters }) => Object.assign(parameters, { ttl: 1 })), last], 'hash'],
    ['the time', [one, two, changed(last, (entry) => Object.assign(entry, { versionTime: timeOf(4) }))], 'hash'],
    ['an entry dropped', [one, last], 'number of its place'],
    ['the first entry dropped', [two, last], 'entry 1'],
    ['entries in another order', [one, last, two], 'number of its place'],
    ['an entry twice', [one, two, two, last], 'number of its place'],
    ['a fork: an entry of another continuation', [one, next(one, { state: { x: 1 } }), last], 'number of its place'],
    [
      'a gap in the numbers',
      [one, changed(two, (entry) => Object.assign(entry, { versionId: entry.versionId.replace('2-', '3-') }))],
      'number of its place',
    ],
    [
      'a number spelled otherwise',
      [one, changed(two, (entry) => Object.assign(entry, { versionId: `0${entry.versionId}` }))],
      'versionId',
    ],
    [
      'the versionId of the first entry',
      [changed(one, (entry) => Object.assign(entry, { versionId: two.versionId.replace('2-', '1-') }))],
      'hash',
    ],
    ['the proof of another entry', [one, two, { ...last, proof: two.proof }], 'not authorized'],
    [
      'a proof by the same key over something else',
      [one, two, { ...last, proof: [proofOver({ x: 1 }, updateKey(3))] }],
      'failed verification',
    ],
    ['no proof', [one, two, { ...last, proof: [] }], 'proof'],
    ['a proof by the key of a stranger', [one, two, { ...last, proof: [proofOver(unsigned(last), stranger)] }], 'not authorized'],
    [
      'a proof by a key that only an entry before had',
      [one, two, { ...last, proof: [proofOver(unsigned(last), updateKey(1))] }],
      'not authorized',
    ],
    [
      'a proof of another purpose',
      [one, two, { ...last, proof: [proofOver(unsigned(last), updateKey(3), { proofPurpose: 'authentication' })] }],
      'proofPurpose',
    ],
    [
      'a proof of another cryptosuite',
      [one, two, { ...last, proof: [proofOver(unsigned(last), updateKey(3), { cryptosuite: 'eddsa-rdfc-2022' })] }],
      'cryptosuite',
    ],
    [
      'a proof with a member that nobody knows',
      [one, two, { ...last, proof: [proofOver(unsigned(last), updateKey(3), { expires: timeOf(1) })] }],
      'proof',
    ],
    ['a member that nobody knows', [one, two, { ...last, x: 1 }], 'entry 3'],
    ['a parameter that nobody knows', [one, next(one, { parameters: { witnesses: [] } })], 'parameters'],
    ['a null parameter', [one, next(one, { parameters: { witness: null } })], 'parameters'],
    ['an older method', [first({ parameters: { method: 'did:webvh:0.5' } })], 'method'],
    ['a change to an older method', [one, next(one, { parameters: { method: 'did:webvh:0.5' } })], 'method'],
    ['a SCID named again', [one, next(one, { parameters: { scid: one.parameters.scid } })], 'names the SCID again'],
    ['time that stands still', [one, next(one, { versionTime: timeOf(1) })], 'not later'],
    ['time that goes back', [one, next(one, { versionTime: timeOf(0) })], 'not later'],
    ['time of another zone', [one, next(one, { versionTime: '2025-06-01T09:00:00+02:00' })], 'time in UTC'],
    ['a day that does not exist', [one, next(one, { versionTime: '2025-06-31T09:00:00Z' })], 'UTC'],
    [
      'a key that was not committed to',
      [one, next(one, { parameters: { updateKeys: [multikey(stranger)] }, key: stranger })],
      'nextKeyHashes',
    ],
    [
      'one key more than was committed to',
      [one, next(one, { parameters: { updateKeys: [multikey(updateKey(2)), multikey(stranger)] } })],
      'nextKeyHashes',
    ],
    [
      'no keys, while pre-rotation is in force',
      [one, next(one, { parameters: { updateKeys: undefined } })],
      'leaves out the keys',
    ],
    [
      'an empty list of keys, while pre-rotation is in force',
      [one, next(one, { parameters: { updateKeys: [] } })],
      'not authorized',
    ],
    [
      'portability from nowhere',
      [...history(1, { parameters: { portable: false } })].flatMap((entry) => [
        entry,
        next(entry, { parameters: { portable: true } }),
      ]),
      'portable',
    ],
    ['a first entry without keys', [first({ parameters: { updateKeys: [] } })], 'keys that update'],
    ['another SCID than the hash of the first entry', [otherScid()], 'SCID'],
    [
      'a document of another SCID',
      [one, next(one, { state: { id: did.replace(/Qm.{44}/, `Qm${'1'.repeat(44)}`) } })],
      'another SCID',
    ],
    ['a document without an id', [one, next(one, { state: { id: undefined } })], 'state.id'],
    ['a document at an address', [first({ location: '127.0.0.1%3A8443' })], 'did:webvh'],
  ];

  test.each(cases)('%s', async (_, entries, message) => {
    expect(await refusal(entries)).toContain(message);
  });

  test('each of them verifies but for what was changed', async () => {
    expect((await verify([one, next(one)])).versionIds).toHaveLength(2);
    expect((await verify([one, two, { ...last, proof: [proofOver(unsigned(last), updateKey(3))] }])).versionIds).toHaveLength(3);
  });

  test('a later entry that does not hold takes the whole log with it, whichever version is asked for', async () => {
    const broken = [one, two, { ...last, proof: two.proof }];
    for (const select of [{ versionNumber: 1 }, { versionId: one.versionId }, { versionTime: START + 60_000 }]) {
      expect(await refusal(broken, { select })).toContain('not authorized');
    }
  });

  test('no byte of it can be changed', async () => {
    const log = textOf(three).trimEnd();
    await fc.assert(
      fc.asyncProperty(fc.nat(log.length - 1), fc.integer({ min: 0x20, max: 0x7e }), async (at, code) => {
        const character = String.fromCharCode(code);
        fc.pre(log[at] !== character);
        await refusal([], { log: log.slice(0, at) + character + log.slice(at + 1) });
      }),
      { numRuns: 400 },
    );
  });

  test('nor cut out, but for whole entries at its end', async () => {
    const log = textOf(three);
    const ends = three.map((_, index) => textOf(three.slice(0, index + 1)).length);
    await fc.assert(
      fc.asyncProperty(fc.nat(log.length), async (length) => {
        fc.pre(!ends.includes(length) && !ends.includes(length + 1));
        await refusal([], { log: log.slice(0, length) });
      }),
      { numRuns: 200 },
    );
  });

  function otherScid(): Entry {
    const other = JSON.parse(JSON.stringify(one).replaceAll(String(one?.parameters.scid), `Qm${'1'.repeat(44)}`)) as Entry;
    return seal(other, 1, `Qm${'1'.repeat(44)}`, updateKey(1));
  }
});

describe('what the library accepts and we refuse', () => {
  test('entries without a proof', async () => {
    const unproven = [one, two, { ...last, proof: [] }];
    expect(await libraryAccepts(unproven)).toBe(true);
    expect(await refusal(unproven)).toContain('proof');
  });

  test('another hash in the versionId of the first entry', async () => {
    const other = changed(one, (entry) => Object.assign(entry, { versionId: two.versionId.replace('2-', '1-') }));
    expect(await libraryAccepts([other])).toBe(true);
    expect(await refusal([other])).toContain('hash and number');
  });

  test.each([
    ['as it is', '{SCID}'],
    ['with an escape', '\\u007bSCID}'],
  ])('a placeholder in the first entry, written there by who serves it, %s', async (_, placeholder) => {
    const scid = String(one.parameters.scid);
    const other = changed(one, ({ state }) =>
      Object.assign(state, { controller: String(state.controller).replace(scid, '{SCID}') }),
    );
    // The hash is right, the SCID is, and so is the proof: over the entry that the library takes it for.
    const { versionId } = seal(other, 1, scid, updateKey(1));
    const forged = { ...other, versionId };
    expect(await libraryAccepts([{ ...forged, proof: one.proof }])).toBe(true);
    const log = textOf([{ ...forged, proof: one.proof }]).replace('{SCID}', placeholder);
    expect(log).toContain(placeholder);
    expect(await refusal([], { log })).toContain('placeholder');
  });

  test('an entry after the one that deactivated the DID', async () => {
    const ended = next(one, { parameters: { deactivated: true } });
    const more = [one, ended, next(ended)];
    expect(await libraryAccepts(more)).toBe(true);
    expect(await refusal(more)).toContain('after the DID was deactivated');
    expect(await refusal([one, ended, next(ended, { parameters: { deactivated: false } })])).toContain('deactivated');
  });

  test('a first entry that is deactivated', async () => {
    const ended = first({ parameters: { deactivated: true } });
    expect((await verify([ended])).deactivated).toBe(true);
    expect(await libraryAccepts([ended, next(ended)])).toBe(true);
    expect(await refusal([ended, next(ended)])).toContain('after the DID was deactivated');
  });

  test('an entry that leaves out the commitment while pre-rotation is in force, and so keeps the old one', async () => {
    const keeps = [one, next(one, { parameters: { nextKeyHashes: undefined } })];
    expect(await libraryAccepts(keeps)).toBe(true);
    expect(await refusal(keeps)).toContain('leaves out the keys');
  });

  test('a move that does not say from where', async () => {
    const moved = [one, next(one, { state: { id: did.replace('vault.example', 'other.example') } })];
    expect(await libraryAccepts(moved)).toBe(true);
    expect(await refusal(moved)).toContain('alsoKnownAs');
  });

  test('strings that are not Unicode, whose hash is that of others', async () => {
    const half = [one, next(one, { state: { name: '�' } })];
    expect((await verify(half)).state.name).toBe('�');
    const log = textOf(half).replace('�', '\\ud800');
    expect(await refusal([], { log })).toContain('not Unicode');
  });

  test('a second spelling of a place', async () => {
    const respelled = first({ location: LOCATION.replace('8443', '8443x') });
    expect(await libraryAccepts([respelled])).toBe(true);
    expect(await refusal([respelled])).toContain('did:webvh');
  });
});

describe('JSON that two readers could read differently', () => {
  const log = textOf([one]).trimEnd();
  test.each<[string, string, string]>([
    ['a member twice', log.replace('"state":{', '"state":{"controller":"did:x:y",'), 'repeated'],
    ['an entry member twice', log.replace('{"versionId"', '{"state":{},"versionId"'), 'repeated'],
    ['__proto__', log.replace('"state":{', '"state":{"__proto__":{},'), '__proto__'],
    ['nesting without end', log.replace('"state":{', `"state":{"x":${'['.repeat(5000)}${']'.repeat(5000)},`), 'nests too deeply'],
    ['a number without end', log.replace('"state":{', '"state":{"x":1e999,'), 'too large'],
    ['an array as an entry', '[]', 'entry 1'],
    ['no JSON', 'x', 'not JSON'],
    ['nothing', '', 'empty'],
    ['an empty line', `${log}\n\n`, 'entry 2'],
    ['a byte order mark', `\ufeff${log}`, 'not JSON'],
    ['half a character', `${log}\ud800`, 'not UTF-8'],
  ])('%s', async (_, text, message) => {
    expect(await refusal([], { log: text })).toContain(message);
  });

  test('what a message repeats of the log can be printed, and is short', async () => {
    const message = await refusal([], {
      log: log.replace('"state":{', `"${'\\u001b[31m'.repeat(3)}${'é'.repeat(999)}":1,"state":{`),
    });
    expect(message).toMatch(/^[ -~]{1,300}$/);
  });
});

describe('time', () => {
  test('a last entry from the future is refused, give or take the clocks', async () => {
    const now = START + 180_000;
    expect((await verify(three, { now: now - 299_000 })).versionIds).toHaveLength(3);
    expect(await refusal(three, { now: now - 301_000 })).toContain('future');
  });
});

describe('the DID that was asked for', () => {
  const elsewhere = did.replace('vault.example', 'new.example');
  const move = next(one, { state: { id: elsewhere, alsoKnownAs: [did] } });

  test.each([
    ['another SCID', did.replace(/Qm.{44}/, `Qm${'1'.repeat(44)}`)],
    ['another place', `${did}2`],
    ['another host', elsewhere],
    ['another method', did.replace('webvh', 'web')],
    ['another spelling', did.replace('%3A', '%3a')],
    ['a DID URL', `${did}#key-1`],
    ['nothing', ''],
  ])('%s is refused', async (_, other) => {
    expect(await refusal(three, { did: other })).toContain('another DID');
    expect(await refusal(three, { did: other, allowMoved: true })).toContain('another DID');
  });

  test('the name after a move', async () => {
    expect((await verify([one, move], { did: elsewhere })).did).toBe(elsewhere);
  });

  test('the name before a move is refused, unless that is asked for', async () => {
    expect(await refusal([one, move], { did })).toContain('another DID');
    expect((await verify([one, move], { did, allowMoved: true })).did).toBe(elsewhere);
  });

  test('a DID that is not portable does not move', async () => {
    const fixed = first({ parameters: { portable: false } });
    const moved = next(fixed, { state: { id: didOf(fixed).replace('vault', 'new'), alsoKnownAs: [didOf(fixed)] } });
    expect(await refusal([fixed, moved])).toContain('not portable');
    const portable = first();
    const ends = next(portable, {
      parameters: { portable: false },
      state: { id: didOf(portable).replace('vault', 'new'), alsoKnownAs: [didOf(portable)] },
    });
    expect(await refusal([portable, ends])).toContain('portab');
  });
});

describe('an older version', () => {
  test.each<[string, LogToVerify['select'], Entry]>([
    ['by its number', { versionNumber: 2 }, two],
    ['by its versionId', { versionId: one.versionId }, one],
    ['by the time at which it began', { versionTime: START + 120_000 }, two],
    ['by a time while it was in force', { versionTime: START + 179_999 }, two],
    ['by a time after all', { versionTime: NOW }, last],
  ])('%s', async (_, select, entry) => {
    const log = await verify(three, { did, select });
    expect(log).toMatchObject({ versionId: entry.versionId, state: entry.state, did });
    expect(log.versionIds).toHaveLength(3);
    expect(log.parameters.updateKeys).toEqual(entry.parameters.updateKeys);
  });

  test.each<[string, LogToVerify['select']]>([
    ['number 0', { versionNumber: 0 }],
    ['number 4', { versionNumber: 4 }],
    ['half a number', { versionNumber: 1.5 }],
    ['a versionId that it does not have', { versionId: two.versionId.replace('2-', '1-') }],
    ['its number alone as a versionId', { versionId: '1' }],
    ['a time before it began', { versionTime: START + 59_999 }],
  ])('%s is not found', async (_, select) => {
    await expect(verify(three, { select })).rejects.toThrow(VersionNotFound);
  });
});

describe('a deactivated DID', () => {
  const ended = next(two, { parameters: { deactivated: true, nextKeyHashes: [] }, state: { controller: [] } });

  test('says so, whichever version is asked for', async () => {
    expect(await verify([one, two, ended])).toMatchObject({ deactivated: true, versionId: ended.versionId, state: ended.state });
    expect(await verify([one, two, ended], { select: { versionNumber: 1 } })).toMatchObject({
      deactivated: true,
      state: one.state,
    });
  });
});

describe('witnesses', () => {
  const [ann, bob, eve] = [keyOf('ann'), keyOf('bob'), keyOf('eve')];
  const did = (key: typeof ann) => ({ id: `did:key:${multikey(key)}` });
  const parameters = { witness: { threshold: 2, witnesses: [did(ann), did(bob)] } };
  const entries = history(2, { parameters });
  const [start, end] = entries;

  test('enough of them', async () => {
    const log = await verify(entries, { witness: witnessFile([end, ann, bob]) });
    expect(log.parameters.witnessed).toBe(true);
    await verify(entries, { witness: witnessFile([start, ann, bob], [end, ann, bob]) });
    await verify([start], { witness: witnessFile([start, ann], [start, bob]) });
  });

  test.each<[string, string | undefined]>([
    ['no file', undefined],
    ['an empty file', '[]'],
    ['one too few', witnessFile([end, ann])],
    ['one twice', witnessFile([end, ann, ann])],
    ['one twice, in two entries', witnessFile([end, ann], [end, ann])],
    ['approval of the first entry alone', witnessFile([start, ann, bob])],
    ['one who is not asked', witnessFile([end, ann, eve])],
    ['approval of an entry that is not published', witnessFile([next(two), ann, bob])],
    [
      'a proof under the name of another',
      JSON.stringify([
        {
          versionId: end?.versionId,
          proof: [
            proofOver({ versionId: end?.versionId }, ann),
            { ...proofOver({ versionId: end?.versionId }, eve), verificationMethod: `did:key:${multikey(bob)}#${multikey(bob)}` },
          ],
        },
      ]),
    ],
  ])('%s is under the threshold', async (_, witness) => {
    expect(await refusal(entries, { witness })).toContain('threshold');
  });

  test.each<[string, string, string]>([
    ['no JSON', 'x', 'witness file is not JSON'],
    ['no list', '{}', 'witness file'],
    ['a member twice', '[{"versionId":"1","versionId":"2","proof":[]}]', 'repeated'],
    ['a member that nobody knows', JSON.stringify([{ versionId: end?.versionId, proof: [], x: 1 }]), 'witness file'],
  ])('a file with %s is refused', async (_, witness, message) => {
    expect(await refusal(entries, { witness })).toContain(message);
  });

  test.each<[string, Record<string, unknown>]>([
    ['the same witness twice', { threshold: 2, witnesses: [did(ann), did(ann)] }],
    ['a threshold above their number', { threshold: 3, witnesses: [did(ann), did(bob)] }],
    ['a threshold of 0', { threshold: 0, witnesses: [did(ann)] }],
    ['a threshold as text', { threshold: '1', witnesses: [did(ann)] }],
    ['nobody', { threshold: 1, witnesses: [] }],
    ['someone who is no did:key', { threshold: 1, witnesses: [{ id: 'did:web:example.com' }] }],
    [
      'a second spelling of a key',
      {
        threshold: 1,
        witnesses: [{ id: `did:key:f${Buffer.concat([Buffer.of(0xed, 1), Buffer.alloc(32, 1)]).toString('hex')}` }],
      },
    ],
  ])('%s as witnesses is refused', async (_, witness) => {
    const entry = first({ parameters: { witness } });
    expect(await refusal([entry], { witness: witnessFile([entry, ann, bob]) })).toMatch(/itness/);
  });

  test('who ends them needs their approval, and nobody after', async () => {
    const ends = next(start as Entry, { parameters: { witness: {} } });
    const after = next(ends);
    expect(await refusal([start, ends], { witness: witnessFile([start, ann, bob]) })).toContain('threshold');
    const log = await verify([start, ends, after], { witness: witnessFile([ends, ann, bob]) });
    expect(log.parameters.witnessed).toBe(false);
  });

  test('who adds them needs their approval at once', async () => {
    const adds = next(one, { parameters });
    expect(await refusal([one, adds])).toContain('threshold');
    await verify([one, adds], { witness: witnessFile([adds, ann, bob]) });
  });
});

describe('limits', () => {
  test('of bytes and entries', async () => {
    const log = textOf(three);
    expect((await verify(three, { maxBytes: log.length, maxEntries: 3 })).versionIds).toHaveLength(3);
    expect(await refusal(three, { maxBytes: log.length - 1 })).toContain('larger than');
    expect(await refusal(three, { maxEntries: 2 })).toContain('more than 2 entries');
    expect(await refusal(three, { witness: `[]${' '.repeat(log.length)}`, maxBytes: log.length })).toContain(
      'witness file is larger',
    );
  });

  test('of proofs and keys in an entry', async () => {
    expect(await refusal([{ ...one, proof: Array(9).fill(one.proof[0]) }])).toContain('proof');
    const many = Array.from({ length: 17 }, () => multikey(generatePrivateKey('Ed25519')));
    expect(await refusal([first({ parameters: { updateKeys: many } })])).toContain('updateKeys');
  });
});

describe('keys that are no keys', () => {
  // The neutral point and another spelling of it: under them one signature verifies anything.
  const weak = [
    ['small order', Buffer.from(`01${'00'.repeat(31)}`, 'hex')],
    ['not canonical', Buffer.from(`ee${'ff'.repeat(30)}7f`, 'hex')],
    ['not on the curve', Buffer.from(`02${'00'.repeat(31)}`, 'hex')],
  ] as const;

  test.each(weak)('%s', async (_, bytes) => {
    const weakKey = `z${base58.encode(Buffer.concat([Buffer.of(0xed, 1), bytes]))}`;
    const entry = first({ parameters: { updateKeys: [weakKey] } });
    const proof = proofOver(unsigned(entry), updateKey(1), { verificationMethod: `did:key:${weakKey}#${weakKey}` });
    // R the neutral point, S 0: verifies under a small-order key where nobody looks.
    const signature = Buffer.concat([Buffer.from(`01${'00'.repeat(31)}`, 'hex'), Buffer.alloc(32)]);
    const message = await refusal([{ ...entry, proof: [{ ...proof, proofValue: `z${base58.encode(signature)}` }] }]);
    expect(message).toMatch(/failed verification|Multikey of Ed25519/);
  });
});
