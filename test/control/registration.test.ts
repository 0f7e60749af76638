// Operators and agents as they are registered, changed and ended, and who may do it (docs/threat-model.md E19).

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generatePrivateKey } from '../../src/crypto/private-key.ts';
import { LogVerifier } from '../../src/vault/webvh/log-verifier.ts';
import { bodyOf, fresh, Operator, ORIGIN, type WrittenLog } from './operator.ts';
import { startVault, startWith, type World } from './vault-world.ts';

const acme = new Operator('acme');
const rival = new Operator('rival');
let world: World;

beforeAll(async () => {
  world = await startWith(acme, rival);
});
afterAll(() => world.stop());

async function registered(operator = acme): Promise<WrittenLog> {
  const log = operator.agent(fresh('agent'));
  expect((await world.register(operator, log)).status).toBe(201);
  return log;
}

const logPath = ({ location }: WrittenLog) => `/${location.split(':').slice(1).join('/')}/did.jsonl`;
const served = async (log: WrittenLog) => (await world.ask(logPath(log))).text;

describe('what is registered', () => {
  test('an agent is shown with its operator, its key and where its log is', async () => {
    const key = generatePrivateKey('Ed25519');
    const log = acme.agent('reader', [key]);
    const { status, headers, body } = await world.register(acme, log);
    expect(status).toBe(201);
    expect(headers.location).toBe(`/v1/agents/${encodeURIComponent(log.did)}`);
    expect(body).toMatchObject({
      did: log.did,
      kind: 'agent',
      operator: acme.did,
      name: 'reader',
      version: 1,
      deactivated: false,
      url: `${ORIGIN}/agents/acme/reader/did.jsonl`,
      keys: [{ id: `${log.did}#key-1`, thumbprint: key.publicKey.jkt, type: 'Ed25519', purposes: ['capabilityInvocation'] }],
    });
    expect((await world.ask(headers.location ?? '')).body).toEqual(body);
    const versions = await world.ask(`${headers.location}/versions`);
    expect(versions.body.items).toEqual([
      { version: 1, versionId: body.versionId, versionTime: body.created, entry: log.lines[0] },
    ]);
  });

  test('an operator is shown likewise, and is its own operator', async () => {
    const { body } = await world.ask(`/v1/operators/${encodeURIComponent(acme.did)}`);
    expect(body).toMatchObject({ kind: 'operator', did: acme.did, operator: acme.did, name: 'acme' });
    expect(body.keys[0].purposes).toEqual(['capabilityInvocation', 'assertionMethod']);
    expect((await world.ask('/v1/operators')).body.items.map(({ did }: { did: string }) => did)).toEqual([acme.did, rival.did]);
  });

  test('its log is served as it was posted, byte for byte, and verifies', async () => {
    const log = await registered();
    const { headers, text } = await world.ask(logPath(log));
    expect(headers['content-type']).toBe('text/jsonl');
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(text).toBe(`${log.lines[0]}\n`);
    const limits = { maxBytes: 65_536, maxEntries: 10 };
    const verifier = LogVerifier.start();
    expect((await verifier.verify({ did: log.did, log: text, witness: undefined, now: Date.now(), ...limits })).did).toBe(
      log.did,
    );
    await verifier.close();
  });

  test('keys of P-256 and several keys are taken', async () => {
    const keys = [generatePrivateKey('ES256'), generatePrivateKey('Ed25519')];
    const { body } = await world.register(acme, acme.agent(fresh('two'), keys));
    expect(body.keys.map(({ type }: { type: string }) => type)).toEqual(['P-256', 'Ed25519']);
  });
});

describe('what changes', () => {
  test('a rotation adds a key, gives the old one an end, and then drops it', async () => {
    const log = await registered();
    const next = generatePrivateKey('Ed25519');
    const id = `${log.did}#key-2`;
    const expires = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000).toISOString().replace('.000', '');
    const overlap = acme.next(log, {
      state: ({ verificationMethod, ...state }) => {
        const [old] = verificationMethod as object[];
        const method = { id, type: 'JsonWebKey', controller: log.did, publicKeyJwk: next.publicKey.jwk };
        return { ...state, verificationMethod: [{ ...old, expires }, method], capabilityInvocation: [`${log.did}#key-1`, id] };
      },
    });
    const { status, body } = await world.append(acme, overlap);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      version: 2,
      keys: [{ expires: new Date(expires).toISOString() }, { thumbprint: next.publicKey.jkt }],
    });
    const dropped = acme.next(overlap, {
      state: ({ verificationMethod, ...state }) => ({
        ...state,
        verificationMethod: (verificationMethod as object[]).slice(1),
        capabilityInvocation: [id],
      }),
    });
    expect((await world.append(acme, dropped)).body.keys).toHaveLength(1);
    expect(await served(log)).toBe(`${dropped.lines.join('\n')}\n`);
    expect((await world.ask(`/v1/agents/${encodeURIComponent(log.did)}/versions?limit=2`)).body.items).toHaveLength(2);
  });

  test('a deactivated DID has no keys, and its log takes no more entries', async () => {
    const log = await registered();
    const ended = acme.end(log);
    expect((await world.append(acme, ended)).body).toMatchObject({ deactivated: true, keys: [], version: 2 });
    const after = { ...ended, lines: [...ended.lines, ended.lines[1]?.replace('"versionId":"2-', '"versionId":"3-') ?? ''] };
    const { status, body } = await world.append(acme, after);
    expect([status, body.type]).toEqual([409, 'urn:hermesbridge:control:deactivated']);
    expect(await served(log)).toBe(`${ended.lines.join('\n')}\n`);
  });

  test('a version that is not the next one is stale, whoever was first', async () => {
    const log = await registered();
    const one = acme.next(log, { state: (state) => ({ ...state, alsoKnownAs: ['https://one.example'] }) });
    const other = acme.next(log, { state: (state) => ({ ...state, alsoKnownAs: ['https://other.example'] }) });
    const answers = await Promise.all([world.append(acme, one), world.append(acme, other)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
    const refused = answers.find(({ status }) => status === 409);
    expect(refused?.body.type).toBe('urn:hermesbridge:control:stale-version');
    const before = await served(log);
    expect((await world.append(acme, one)).status).toBe(409);
    const ahead = acme.next(acme.next(one));
    expect((await world.append(acme, ahead)).body.errors).toEqual([{ field: 'entry.versionId', detail: 'must begin with 3-' }]);
    expect(await served(log)).toBe(before);
  });

  test('an operator whose key was dropped does not write with it any more, and does with the new one', async () => {
    const changing = new Operator('changing');
    const own = await startVault({ operators: [changing] });
    try {
      expect((await own.register(changing, changing.log)).status).toBe(201);
      const next = generatePrivateKey('Ed25519');
      const id = `${changing.did}#key-2`;
      const rotated = changing.next(changing.log, {
        state: (state) => ({
          ...state,
          verificationMethod: [{ id, type: 'JsonWebKey', controller: changing.did, publicKeyJwk: next.publicKey.jwk }],
          capabilityInvocation: [id],
          assertionMethod: [id],
        }),
      });
      expect((await own.append(changing, rotated)).status).toBe(201);
      const agent = changing.agent('one');
      expect((await own.register(changing, agent)).body.type).toBe('urn:hermesbridge:control:signature-invalid');
      expect((await own.register(changing, agent, { key: next, keyid: id })).status).toBe(201);
    } finally {
      await own.stop();
    }
  });
});

describe('a DID and its place are taken once', () => {
  test('the same registration again changes nothing', async () => {
    const log = await registered();
    const { status, body } = await world.register(acme, log);
    expect([status, body.type]).toEqual([409, 'urn:hermesbridge:control:already-registered']);
    expect((await world.register(acme, acme.log)).status).toBe(409);
  });

  test('nor does another log of the same name, with other keys', async () => {
    const log = await registered();
    const before = await served(log);
    const other = acme.agent(log.location.split(':').at(-1) ?? '');
    expect((await world.register(acme, other)).status).toBe(409);
    expect(await served(log)).toBe(before);
    expect((await world.ask(`/v1/agents/${encodeURIComponent(other.did)}`)).status).toBe(404);
  });

  test('a key that another agent has is refused, that of an earlier version too', async () => {
    const key = generatePrivateKey('Ed25519');
    expect((await world.register(acme, acme.agent(fresh('first'), [key]))).status).toBe(201);
    const { status, body } = await world.register(rival, rival.agent(fresh('second'), [key]));
    expect([status, body.type]).toEqual([409, 'urn:hermesbridge:control:key-already-registered']);
  });
});

describe('another operator', () => {
  test('cannot register what is someone else’s, nor under someone else’s name', async () => {
    const log = await registered();
    const before = await served(log);
    expect((await world.register(rival, log)).status).toBe(403);
    const name = log.location.split(':').at(-1) ?? '';
    const taken = rival.first(`${rival.host}:agents:acme:${name}`, (did) => ({ id: did, controller: [rival.did] }), {});
    expect((await world.register(rival, taken)).status).toBe(403);
    expect((await world.register(rival, acme.log)).status).toBe(403);
    expect(await served(log)).toBe(before);
  });

  test('cannot add a version, be it one that its owner has signed', async () => {
    const log = await registered();
    const { status, body } = await world.append(rival, acme.next(log));
    expect([status, body.type]).toEqual([403, 'urn:hermesbridge:control:not-controller']);
    expect(await served(log)).toBe(`${log.lines[0]}\n`);
  });

  test('cannot register an agent that does not name it as controller', async () => {
    const log = rival.agent(fresh('agent'), undefined, { state: (state) => ({ ...state, controller: [acme.did] }) });
    const { status, body } = await world.register(rival, log);
    expect([status, body.errors[0].field]).toEqual([403, 'entry.state.controller']);
  });

  test('that is not listed is refused once its signature has verified', async () => {
    const stranger = new Operator('stranger');
    const { status, body } = await world.register(stranger, stranger.log);
    expect([status, body.type]).toEqual([403, 'urn:hermesbridge:control:operator-not-allowed']);
    expect((await world.register(stranger, stranger.agent('x'))).status).toBe(401);
    expect((await world.ask('/operators/stranger/did.jsonl')).status).toBe(404);
  });
});

test('a DID that is not registered is not found, and neither is one of the other kind', async () => {
  const log = acme.agent(fresh('nobody'));
  expect((await world.append(acme, acme.next(log))).body.type).toBe('urn:hermesbridge:control:not-registered');
  const asAgent = `/v1/agents/${encodeURIComponent(acme.did)}`;
  expect((await world.ask(asAgent)).status).toBe(404);
  expect((await world.ask(`${asAgent}/versions`)).status).toBe(404);
  expect((await world.post(acme, `${asAgent}/versions`, bodyOf(acme.next(acme.log)))).status).toBe(404);
});
