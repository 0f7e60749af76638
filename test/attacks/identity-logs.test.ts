// E12: logs that are not the unbroken history of their DID, or go back on what the gateway has seen, served by a host that the
// attacker owns to the real program behind the real Envoy.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyOf } from '../keys.ts';
import {
  type Entry,
  multikey,
  next,
  proofOver,
  seal,
  textOf,
  unsigned,
  updateKey,
  witnessFile,
} from '../vault/webvh/log-maker.ts';
import { newHolder } from './attacker.ts';
import {
  type Agent,
  type Json,
  type LoggedAgent,
  logOf,
  publishLog,
  publishWeb,
  requestOf,
  rotated,
} from './identity-documents.ts';
import { type HostScene, openHostScene, UNAVAILABLE, UNKNOWN } from './identity-world.ts';
import { NO_NAME, type Site } from './own-site.ts';
import type { Scene } from './scene.ts';

const SCID = 'QmfJkHg95gQdGDCwGPaS3NXjbEUYKWj9fkA5ef3fi3ciW1';

describe.skipIf(NO_NAME)(`E: a gateway that reads logs of a stranger${NO_NAME}`, () => {
  let opened: HostScene;
  let scene: Scene;
  let operator: string;
  let site: Site;

  beforeAll(async () => {
    opened = await openHostScene();
    scene = opened.scene;
    [site] = opened.sites;
    operator = scene.operator.did;
  });
  afterAll(() => opened?.stop());

  const of = (agent: Agent) => requestOf(scene.operator, agent);
  /** Why the request of this answer was denied, as the gateway's log says and the answer does not. */
  const causeOf = (problem: string): unknown => {
    const { instance } = JSON.parse(problem) as { instance: string };
    const line = scene.world
      .gatewayLog()
      .split('\n')
      .find((said) => said.includes(instance));
    return line && (JSON.parse(line) as { cause?: string }).cause;
  };

  const secondOf = (agent: LoggedAgent): [Entry, Entry] => {
    const [one, two] = agent.log;
    if (one === undefined || two === undefined) throw new Error('two entries');
    return [one, two];
  };
  const scidOf = (entry: Entry) => String(entry.parameters.scid);

  test.each<[string, (agent: LoggedAgent, one: Entry, two: Entry) => string]>([
    ['changed in its last entry', (_a, one, two) => textOf([one, { ...two, state: { ...two.state, x: 1 } }])],
    ['changed in its first entry', (_a, one, two) => textOf([{ ...one, state: { ...one.state, x: 1 } }, two])],
    ['without its first entry', (_a, _one, two) => textOf([two])],
    ['cut within an entry', (agent) => textOf(agent.log).slice(0, -30)],
    ['with an old entry once more at its end', (_a, one, two) => textOf([one, two, one])],
    ['with its last entry twice', (_a, one, two) => textOf([one, two, two])],
    ['without proofs', (_a, one, two) => textOf([one, { ...two, proof: [] }])],
    ['with no proof member', (_a, one, two) => textOf([one, unsigned(two)])],
    ['with the proof of another entry', (_a, one, two) => textOf([one, { ...two, proof: one.proof }])],
    ['signed by a stranger', (_a, one, two) => textOf([one, { ...two, proof: [proofOver(unsigned(two), keyOf('eve'))] }])],
    [
      'continued by a key that nobody committed to',
      (_a, one, two) =>
        textOf([one, next(one, { state: two.state, parameters: { updateKeys: [multikey(keyOf('eve'))] }, key: keyOf('eve') })]),
    ],
    ['joined from two continuations', (_a, one, two) => textOf([one, next(one, { state: { x: 1 } }), next(two)])],
    ['from the future', (_a, one) => textOf([one, next(one, { versionTime: '2999-01-01T00:00:00Z' })])],
    [
      'of an older version of the method',
      (_a, one, two) => textOf([{ ...one, parameters: { ...one.parameters, method: 'did:webvh:0.5' } }, two]),
    ],
    [
      'with a placeholder for the SCID that who serves it wrote there',
      (_agent, one) => {
        const method = (one.state.verificationMethod as Json[])[0];
        const state = {
          ...one.state,
          verificationMethod: [{ ...method, controller: method.controller.replace(scidOf(one), '{SCID}') }],
        };
        const { versionId } = seal({ ...one, state }, 1, scidOf(one), updateKey(1));
        return textOf([{ ...one, state, versionId }]);
      },
    ],
    ['of another DID of the same operator', () => textOf(logOf(site, operator).log)],
    ['of the same keys under another SCID', (agent, one) => textOf(agent.log).replaceAll(scidOf(one), SCID)],
    ['that was never there', () => ''],
    ['with a member twice', (agent) => textOf(agent.log).replace('"state":{', '"state":{"controller":"did:key:z6Mk",')],
  ])('E12 a log %s', async (_, forge) => {
    const agent = rotated(logOf(site, operator), operator, newHolder());
    const [one, two] = secondOf(agent);
    site.files.set(agent.path, forge(agent, one, two));
    const { response } = await scene.expectDenied(of(agent), UNKNOWN);
    await expect.poll(() => causeOf(response.body)).toMatch(/^the log of the DID does not verify: /);
    // Nothing but what was done to it is wrong with it.
    const good = rotated(logOf(site, operator), operator, newHolder());
    site.files.set(good.path, textOf(good.log));
    await scene.expectAllowed(of(good));
  });

  test('E12 a log that needs witnesses, without them', async () => {
    const witness = keyOf('witness');
    const parameters = { witness: { threshold: 1, witnesses: [{ id: `did:key:${multikey(witness)}` }] } };
    const proofs: [string | undefined, (agent: LoggedAgent) => string][] = [
      [undefined, () => ''],
      ['[]', () => '[]'],
      ['one of another log', () => witnessFile([logOf(site, operator, parameters).log[0], witness])],
      ['one by a stranger', ({ log }) => witnessFile([log[0], keyOf('eve')])],
    ];
    for (const [what, file] of proofs) {
      const agent = publishLog(site, operator, parameters);
      if (what !== undefined) site.files.set(agent.path.replace('did.jsonl', 'did-witness.json'), file(agent));
      await scene.expectDenied(of(agent), UNKNOWN);
    }
    const agent = publishLog(site, operator, parameters);
    site.files.set(agent.path.replace('did.jsonl', 'did-witness.json'), witnessFile([agent.log[0], witness]));
    await scene.expectAllowed(of(agent));
  });

  test('E15 a key that runs out does so by itself, with nobody to ask', { timeout: 60_000 }, async () => {
    const young = newHolder();
    const expires = new Date(Math.ceil(Date.now() / 1000 + 5) * 1000);
    const agent = publishWeb(site, operator, (document) => {
      const [old] = document.verificationMethod;
      const second = { ...old, id: `${document.id}#key-2`, publicKeyJwk: young.jwk };
      const time = expires.toISOString().replace('.000Z', 'Z');
      return { ...document, verificationMethod: [{ ...old, expires: time }, second], capabilityInvocation: ['#key-1', '#key-2'] };
    });
    await scene.expectAllowed(of(agent));
    await scene.expectAllowed(of({ ...agent, ...young, did: agent.did }));
    site.files.set(agent.path, () => {});
    await sleep(Math.max(0, expires.getTime() - Date.now()) + 5);
    await scene.expectAllowed(of({ ...agent, ...young, did: agent.did }));
    // The key may have been published again a moment ago, so its host is asked once more.
    await scene.expectDenied(of(agent), UNAVAILABLE);
    site.files.delete(agent.path);
    await sleep(2500);
    await scene.expectDenied(of(agent), UNKNOWN);
  });

  test('E12 logs that go back on what was seen, by a gateway that has been killed since', { timeout: 120_000 }, async () => {
    const grown = Array.from({ length: 5 }, () => {
      const old = publishLog(site, operator);
      const young = rotated(old, operator, newHolder());
      site.files.set(young.path, textOf(young.log));
      return { old, young };
    });
    for (const { young } of grown) await scene.expectAllowed(of(young));
    const ended = logOf(site, operator);
    const [start] = ended.log as [Entry];
    site.files.set(ended.path, textOf([start, next(start, { parameters: { deactivated: true, nextKeyHashes: [] } })]));
    await scene.expectDenied(of(ended), UNKNOWN);

    await scene.world.restartGateway('SIGKILL');
    const [cut, forked, longer, emptied, honest] = grown as [(typeof grown)[0], ...typeof grown];
    if (!forked || !longer || !emptied || !honest) throw new Error('five agents');
    const fork = rotated(cut.old, operator, newHolder());
    site.files.set(cut.old.path, textOf(cut.old.log));
    const other = rotated(forked.old, operator, forked.old);
    site.files.set(forked.old.path, textOf(other.log));
    const further = rotated(rotated(longer.old, operator, longer.old), operator, longer.old);
    site.files.set(longer.old.path, textOf(further.log));
    site.files.set(emptied.old.path, '');
    site.files.set(ended.path, textOf([start]));
    // Neither the key that was dropped, which these logs would bring back, nor any other.
    for (const { old, young } of [cut, forked, longer, emptied]) {
      await scene.expectDenied(of(old), UNKNOWN);
      await scene.expectDenied(of(young), UNKNOWN);
    }
    await scene.expectDenied(of({ ...cut.old, ...fork }), UNKNOWN);
    await scene.expectDenied(of(ended), UNKNOWN);
    const told = scene.world
      .gatewayLog()
      .split('\n')
      .filter((line) => line.includes('was taken back or forked'));
    for (const { old } of [cut, forked, longer, { old: ended }]) expect(told.some((line) => line.includes(old.did))).toBe(true);

    await scene.expectAllowed(of(honest.young));
    await scene.expectDenied(of(honest.old), UNKNOWN);
  });
});
