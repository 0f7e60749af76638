// E: identities that have to be fetched. The attacker has what it takes to make the gateway resolve a DID at all, a root of a trusted
// operator that names it (an operator gone bad, or a leaked issuing key), and a host of its own that answers as it likes. Through
// the real Envoy; the hosts are real too, under the name of this machine. Names that change where they lead between two look-ups
// (E7) cannot be had from the system's resolver: test/vault/fetch/ has them, with the look-up put in its place.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, answerWith, startHost } from '../vault/fetch/hostile-host.ts';
import { textOf } from '../vault/webvh/log-maker.ts';
import { newHolder } from './attacker.ts';
import {
  type Agent,
  documentOf,
  forged,
  fresh,
  type Json,
  logOf,
  publishLog,
  publishWeb,
  requestOf,
  webAgent,
} from './identity-documents.ts';
import { endless, expectDeniedInTime, type HostScene, INVALID, openHostScene, UNAVAILABLE, UNKNOWN } from './identity-world.ts';
import { NO_NAME, OWN, type Site, selfSigned, startSite } from './own-site.ts';
import { sendHttp1, type WireRequest } from './raw-http.ts';
import type { Scene, Verdict } from './scene.ts';

const SCID = 'QmfJkHg95gQdGDCwGPaS3NXjbEUYKWj9fkA5ef3fi3ciW1';

describe('E: a gateway that may connect to public addresses only', () => {
  let opened: HostScene;
  let scene: Scene;
  let site: Site;
  let redis: Awaited<ReturnType<typeof startHost>>;

  beforeAll(async () => {
    redis = await startHost(undefined, undefined);
    const web = [`127.0.0.1:${redis.port}`, `localhost:${redis.port}`, '169.254.169.254'];
    opened = await openHostScene({ resolution: { allowedAddresses: [] }, web });
    scene = opened.scene;
    site = opened.sites[0];
  });
  afterAll(async () => {
    await opened?.stop();
    await redis?.[Symbol.asyncDispose]();
  });

  const refuses = (did: string, verdict: Verdict = UNKNOWN) =>
    expectDeniedInTime(scene, () => requestOf(scene.operator, forged(did)), verdict);
  const methods = (place: string) => [`did:web:${place}`, `did:webvh:${SCID}:${place}`];

  test('E1 an address or a name of this machine itself', async () => {
    const { port } = redis;
    const literals = ['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '017700000001', '0.0.0.0', '0'];
    const names = ['localhost', 'a.localhost', 'LOCALHOST', '127.0.0.1.', '%5B%3A%3A1%5D', '127%2E0%2E0%2E1'];
    for (const host of [...literals, ...names]) for (const did of methods(`${host}%3A${port}`)) await refuses(did);
    for (const did of methods('::1')) await refuses(did);
    expect(redis.connections()).toBe(0);
  });

  test('E2 the metadata service of a cloud', async () => {
    for (const host of [
      '169.254.169.254',
      '0xa9fea9fe',
      '2852039166',
      'fd00:ec2::254',
      'fd00%3Aec2%3A%3A254',
      '%5Bfd00%3Aec2%3A%3A254%5D',
    ])
      for (const did of methods(`${host}:latest:meta-data`)) await refuses(did);
  });

  test('E4 hosts and paths that two readers would read differently', async () => {
    const { spelled } = site;
    const unknown = [
      ...[`${OWN.name}.%3A${site.port}`, `x%40${spelled}`, `${spelled}%3A1`, `${OWN.name}%3a${site.port}:x`, `${OWN.name}%3A0:x`],
      ...[
        '%2f',
        '%2F..%2F',
        '%00',
        '%5c',
        '%2e%2e',
        '.',
        '..',
        '%',
        '%zz',
        '%ff',
        '%252f',
        '',
        '%0d%0ahost',
        '%3f',
        '%23',
        '%20',
      ].map((segment) => `${spelled}:${segment}:x`),
      ...['%3A443', ':x', '%00', '-x.test', `${'a'.repeat(64)}.test`, `x.test:${'a'.repeat(2100)}`],
    ];
    for (const place of unknown) for (const did of methods(place)) await refuses(did);
    for (const did of [`did:webvh:${SCID}`, 'did:webvh:x:y.test', 'did:web3:x.test', 'did:constructor:x']) await refuses(did);
    // Not even the characters of a DID: the token is not of the profile.
    const invalid = [
      `x@${spelled}`,
      `${spelled}/x`,
      `${spelled}?x`,
      `${spelled}#x`,
      '[::1]',
      `${spelled}:x\n`,
      `${spelled}:x\0`,
      '',
    ];
    for (const place of invalid) await refuses(`did:web:${place}`, INVALID);
    for (const did of ['did:__proto__:x', 'DID:web:x.test', 'did:Web:x.test', `${'did:web:x.test:'.padEnd(4300, 'a')}`])
      await refuses(did, INVALID);
    expect(site.connections()).toBe(0);
  });

  test('E5 addresses that are not public, in all their ranges', async () => {
    const v4 = ['10.0.0.1', '100.64.0.1', '100.127.255.254', '192.168.0.1', '192.0.0.1', '198.18.0.1', '224.0.0.1', '240.0.0.1'];
    const inner = Array.from({ length: 16 }, (_, at) => `172.${16 + at}.0.1`);
    const v6 = ['fc00::1', 'fdff::1', 'fe80::1', 'febf::1', '::ffff:10.0.0.1', '64:ff9b::a00:1', '2002:a00:1::1'];
    for (const host of [...v4, ...inner, ...v6, ...v6.map(encodeURIComponent)])
      for (const did of methods(host)) await refuses(did);
  });

  test.skipIf(NO_NAME)(`E1 E5 E7 a name that leads to a private address: nobody is connected to${NO_NAME}`, async () => {
    await refuses(publishWeb(site, scene.operator.did).did);
    await refuses(publishLog(site, scene.operator.did).did);
    expect(site.connections()).toBe(0);
  });

  test('E17 DIDs by the hundred, under roots of nobody whom the gateway trusts: none is resolved', {
    timeout: 60_000,
  }, async () => {
    const nobody = newHolder();
    const good = scene.operator;
    const roots: ((agent: Agent) => WireRequest)[] = [
      (agent) => requestOf(nobody, agent),
      // In the name of one who is trusted, by the key of one who is not.
      (agent) => requestOf({ ...nobody, did: good.did, kid: good.kid }, agent),
      (agent) => requestOf({ ...nobody, did: `did:web:${site.spelled}:${fresh()}` }, agent),
      (agent) => requestOf({ ...nobody, did: logOf(site, good.did).did }, agent),
    ];
    const statuses = new Map<string, number>();
    for (let at = 0; at < 50; at++) {
      const sent = roots.map((rootOf) => sendHttp1(scene.port, rootOf(webAgent(site))));
      for (const { status, body } of await Promise.all(sent)) {
        const said = `${status} ${JSON.parse(body).error.code}`;
        statuses.set(said, (statuses.get(said) ?? 0) + 1);
      }
    }
    expect(Object.fromEntries(statuses)).toEqual({ '401 chain-invalid': 200 });
    expect(site.connections()).toBe(0);
    await scene.expectAllowed(requestOf(good, scene.newAgent().agent));
  });
});

describe.skipIf(NO_NAME)(`E: a gateway that may connect to the hosts of a stranger${NO_NAME}`, () => {
  const hosts: AsyncDisposable[] = [];
  let opened: HostScene;
  let scene: Scene;
  let operator: string;
  let site: Site;
  let other: Site;
  let plain: Awaited<ReturnType<typeof startHost>>;
  let silent: Awaited<ReturnType<typeof startHost>>;
  let untrusted: Site;
  let misnamed: Site;
  let plainDocument = '';

  beforeAll(async () => {
    const [another, service] = [await selfSigned(OWN.name), await selfSigned('service.test')];
    untrusted = await startSite(another);
    misnamed = await startSite(service);
    plain = await startHost(undefined, (socket, head) => answerWith(plainDocument)(socket, head), OWN.addresses[0]);
    silent = await startHost(undefined, undefined, OWN.addresses[0]);
    hosts.push(untrusted, misnamed, plain, silent);
    const ports = [plain.port, silent.port].map((port) => `${OWN.name}:${port}`);
    opened = await openHostScene({ web: [untrusted.host, misnamed.host, ...ports], authorities: [service.cert] });
    scene = opened.scene;
    [site, other] = opened.sites;
    operator = scene.operator.did;
  });
  afterAll(async () => {
    await opened?.stop();
    for (const host of hosts) await host[Symbol.asyncDispose]();
  });

  const answers = (name: string, answer: string | Answer): Agent => {
    const agent = webAgent(site, name);
    site.files.set(agent.path, answer);
    return agent;
  };
  const of = (agent: Agent) => requestOf(scene.operator, agent);

  test('an honest host: the agent passes, and is asked for once', async () => {
    for (const agent of [publishWeb(site, operator), publishLog(site, operator)]) {
      for (let time = 0; time < 3; time++) await scene.expectAllowed(of(agent));
      expect(site.asked().filter((path) => path === agent.path)).toHaveLength(1);
    }
  });

  test('E8 did:web of a host that nobody named, although it answers well', async () => {
    const unnamed = await startSite(await selfSigned(OWN.name));
    hosts.push(unnamed);
    await scene.expectDenied(of(publishWeb(unnamed, operator)), UNKNOWN);
    expect(unnamed.connections()).toBe(0);
  });

  test.each([301, 302, 303, 307, 308])('E6 a redirect with status %d is not followed', async (status) => {
    const agent = webAgent(site);
    other.files.set(agent.path, JSON.stringify(documentOf(agent.did, operator, agent)));
    for (const location of [`https://${other.host}${agent.path}`, `http://127.0.0.1:${silent.port}/`]) {
      const name = fresh();
      other.files.set(`/${name}/did.json`, JSON.stringify(documentOf(`did:web:${site.spelled}:${name}`, operator, agent)));
      const to = location.replace(agent.path, `/${name}/did.json`);
      await scene.expectDenied(of(answers(name, answerWith('', [`location: ${to}`], `${status} Elsewhere`))), UNKNOWN);
    }
    expect(other.connections() + silent.connections()).toBe(0);
    const log = logOf(site, operator);
    other.files.set(log.path, textOf(log.log));
    site.files.set(log.path, answerWith('', [`location: https://${other.host}${log.path}`], `${status} Elsewhere`));
    await scene.expectDenied(of(log), UNKNOWN);
    expect(other.connections()).toBe(0);
  });

  test('E8 a host without TLS, and one that cannot show who it is', async () => {
    const insecure = webAgent({ spelled: `${OWN.name}%3A${plain.port}` });
    plainDocument = JSON.stringify(documentOf(insecure.did, operator, insecure));
    await scene.expectDenied(of(insecure), UNKNOWN);
    for (const host of [untrusted, misnamed]) {
      await scene.expectDenied(of(publishWeb(host, operator)), UNKNOWN);
      await scene.expectDenied(of(publishLog(host, operator)), UNKNOWN);
      expect(host.asked()).toEqual([]);
    }
  });

  const OK = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
  const mebibyte = 'a'.repeat(1 << 20);
  test.each<[string, Verdict, Answer]>([
    ['says that it has 100 MB', UNKNOWN, endless(`${OK}content-length: 104857600\r\n\r\n`, mebibyte)],
    ['never ends', UNKNOWN, endless(`${OK}transfer-encoding: chunked\r\n\r\n`, `100000\r\n${mebibyte}\r\n`)],
    ['ends with its connection, never', UNKNOWN, endless(`${OK}\r\n`, mebibyte)],
    ['is larger than 64 KiB', UNKNOWN, answerWith(`{"a":"${'a'.repeat(65_536)}"}`)],
    ['is packed', UNKNOWN, answerWith('{}', ['content-encoding: gzip'])],
    ['is nested', UNKNOWN, answerWith('['.repeat(60_000))],
    ['comes a byte at a time', UNAVAILABLE, endless(`${OK}content-length: 200\r\n\r\n`, ' ', 100)],
    ['has a header that comes a byte at a time', UNAVAILABLE, endless(`${OK}x-slow: `, 'a', 100)],
    ['has header fields without end', UNAVAILABLE, endless(OK, `x-more: ${'a'.repeat(4000)}\r\n`)],
    ['comes after answers without end that are none', UNAVAILABLE, endless('', 'HTTP/1.1 102 Processing\r\n\r\n', 50)],
    ['never comes', UNAVAILABLE, () => {}],
    ['breaks off', UNAVAILABLE, (socket) => socket.end(`${OK}content-length: 200\r\n\r\n{`)],
    ['is refused by the server for now', UNAVAILABLE, answerWith('{}', [], '503 Later')],
  ])('E9 a document that %s: an answer within 2 s', { timeout: 30_000 }, async (_, verdict, answer) => {
    await expectDeniedInTime(scene, () => of(answers(fresh(), answer)), verdict);
    const log = () => {
      const agent = logOf(site, operator);
      site.files.set(agent.path, answer);
      return of(agent);
    };
    await expectDeniedInTime(scene, log, verdict);
  });

  test('E9 a host that takes connections and says nothing', async () => {
    await expectDeniedInTime(scene, () => of(webAgent({ spelled: `${OWN.name}%3A${silent.port}` })), UNAVAILABLE);
    await expectDeniedInTime(scene, () => of(logOf({ spelled: `${OWN.name}%3A${silent.port}` }, operator)), UNAVAILABLE);
  });

  const edit =
    (change: (document: Json) => void) =>
    (document: Json): Json => {
      change(document);
      return document;
    };
  const anotherDid = newHolder().did;

  test.each<[string, (document: Json) => Json]>([
    ['of another DID', edit((d) => Object.assign(d, { id: anotherDid }))],
    ['without an id', edit((d) => Object.assign(d, { id: undefined }))],
    ['of the DID with a fragment', edit((d) => Object.assign(d, { id: `${d.id}#key-1` }))],
    ['of the DID in a list', edit((d) => Object.assign(d, { id: [d.id] }))],
    ['that is a list', (d) => [d]],
    ['that is nothing', () => 'null'],
    ['that is no JSON', () => '<html></html>'],
    ['that names its id twice', (d) => JSON.stringify(d).replace('"id":', `"id":"${anotherDid}","id":`)],
    ['without a controller', edit((d) => Object.assign(d, { controller: undefined }))],
    ['of another controller', edit((d) => Object.assign(d, { controller: anotherDid }))],
    ['of several others', edit((d) => Object.assign(d, { controller: [anotherDid, d.id] }))],
    ['that controls itself', edit((d) => Object.assign(d, { controller: d.id }))],
    ['whose controller is no DID', edit((d) => Object.assign(d, { controller: [d.controller, 'nobody'] }))],
    ['whose controller is an object', edit((d) => Object.assign(d, { controller: { id: d.controller } }))],
  ])('E10 a document %s', async (_, change) => {
    await scene.expectDenied(of(publishWeb(site, operator, change)), UNKNOWN);
  });

  test('E10 the same with the operator among several controllers', async () => {
    await scene.expectAllowed(of(publishWeb(site, operator, (d) => ({ ...d, controller: [anotherDid, d.controller] }))));
  });

  test.each<[string, (document: Json) => void]>([
    ['for logging in', (d) => Object.assign(d, { capabilityInvocation: undefined, authentication: d.capabilityInvocation })],
    ['for issuing tokens', (d) => Object.assign(d, { capabilityInvocation: [], assertionMethod: d.capabilityInvocation })],
    ['for agreeing on keys', (d) => Object.assign(d, { capabilityInvocation: undefined, keyAgreement: d.capabilityInvocation })],
    ['for nothing', (d) => Object.assign(d, { capabilityInvocation: undefined })],
    ['of another controller', (d) => Object.assign(d.verificationMethod[0], { controller: anotherDid })],
    ['under the name of another DID', (d) => Object.assign(d.verificationMethod[0], { id: `${anotherDid}#key-1` })],
    ['that is named by a fragment that is not there', (d) => Object.assign(d, { capabilityInvocation: [`${d.id}#key-2`] })],
    ['that has run out', (d) => Object.assign(d.verificationMethod[0], { expires: '2026-01-01T00:00:00Z' })],
    ['that was revoked', (d) => Object.assign(d.verificationMethod[0], { revoked: '2026-01-01T00:00:00Z' })],
    ['that runs out at no time that can be read', (d) => Object.assign(d.verificationMethod[0], { expires: 'never' })],
    ['with its private part', (d) => Object.assign(d.verificationMethod[0].publicKeyJwk, { d: 'A'.repeat(43) })],
    ['of a curve for agreeing on keys', (d) => Object.assign(d.verificationMethod[0].publicKeyJwk, { crv: 'X25519' })],
    ['of a type that nobody knows', (d) => Object.assign(d.verificationMethod[0], { type: 'Ed25519VerificationKey2018' })],
    ['that two methods of one name have', (d) => d.verificationMethod.push({ ...d.verificationMethod[0] })],
    ['of someone else', (d) => Object.assign(d.verificationMethod[0], { publicKeyJwk: newHolder().jwk })],
  ])('E11 a key %s', async (_, change) => {
    await scene.expectDenied(of(publishWeb(site, operator, edit(change))), UNKNOWN);
  });

  test('E11 a capability bound to a key for agreeing on keys', async () => {
    const agent = publishWeb(
      site,
      operator,
      edit((d) => Object.assign(d.verificationMethod[0].publicKeyJwk, { crv: 'X25519' })),
    );
    await scene.expectDenied(of({ ...agent, jwk: { ...agent.jwk, crv: 'X25519' } }), INVALID);
  });

  test('E11 the same for calling, in place and with a relative name', async () => {
    const inPlace = edit((d) => Object.assign(d, { capabilityInvocation: d.verificationMethod, verificationMethod: undefined }));
    await scene.expectAllowed(of(publishWeb(site, operator, inPlace)));
    await scene.expectAllowed(
      of(
        publishWeb(
          site,
          operator,
          edit((d) => Object.assign(d, { capabilityInvocation: ['#key-1'] })),
        ),
      ),
    );
  });
});
