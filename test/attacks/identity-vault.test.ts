// E: a gateway and its vault, in one process and in two: what is registered, rotated and deactivated is in force at once, and what
// belongs to one operator is no other's.

import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { generatePrivateKey, type PrivateKey } from '../../src/crypto/private-key.ts';
import { Operator, ORIGIN, stateOf, type WrittenLog } from '../control/operator.ts';
import { mintRoot } from './attacker.ts';
import { forged, fresh, requestOf } from './identity-documents.ts';
import {
  issuerOf,
  keyed,
  makeSeparateVault,
  type SeparateVault,
  type VaultAddress,
  versionsOf,
  writeTo,
} from './identity-vault.ts';
import { type HostScene, INVALID, openHostScene, timed, UNKNOWN } from './identity-world.ts';
import { NO_NAME, OWN, selfSigned } from './own-site.ts';
import { sendHttp1, type WireRequest } from './raw-http.ts';
import { openScene, type Scene, type Verdict } from './scene.ts';

/** Posts the entry, and sends the request that was good until it is refused: a second at most. */
async function expectRefusedAfter(
  scene: Scene,
  write: () => ReturnType<typeof writeTo>,
  wire: () => WireRequest,
  verdict: Verdict,
): Promise<void> {
  await scene.expectAllowed(wire());
  const { status, text } = await write();
  expect(status, text).toBe(201);
  const { took } = await timed(async () => {
    while ((await sendHttp1(scene.port, wire())).status === 200) await sleep(5);
  });
  expect(took).toBeLessThanOrEqual(1000);
  await scene.expectDenied(wire(), verdict);
}

describe('E: with the vault in the same process', { timeout: 60_000 }, () => {
  const [acme, mallory, stranger] = [new Operator('acme'), new Operator('mallory'), new Operator('stranger')];
  let scene: Scene;
  let vault: VaultAddress;

  beforeAll(async () => {
    scene = await openScene();
    vault = { host: '127.0.0.1', port: await freePort() };
    const file = scene.world.files.gatewayConfiguration;
    const configuration = parse(readFileSync(file, 'utf8'));
    for (const { did } of [acme, mallory]) configuration.verify.trust.operators.push({ did });
    const control = {
      service: { listen: `127.0.0.1:${vault.port}` },
      origin: ORIGIN,
      operators: [acme.did, mallory.did],
      store: { file: 'run/vault.db' },
    };
    writeFileSync(file, stringify({ ...configuration, control }));
    await scene.world.restartGateway('SIGTERM');
  });
  afterAll(() => scene?.stop());

  const registers = async (operator: Operator, log: WrittenLog) => {
    const { status, text } = await writeTo(vault, operator, log === operator.log ? '/v1/operators' : '/v1/agents', log);
    expect(status, text).toBe(201);
  };
  const registered = async () => {
    const key = generatePrivateKey('Ed25519');
    const log = acme.agent(fresh(), [key]);
    await registers(acme, log);
    return { log, key, agent: keyed(key, log.did) };
  };
  const withKeys =
    (did: string, ...keys: readonly PrivateKey[]) =>
    () =>
      stateOf(did, [acme.did], keys, ['capabilityInvocation']);
  test('an operator is not known before it is registered, and then is', async () => {
    const agent = scene.newAgent().agent;
    await scene.expectDenied(requestOf(issuerOf(acme), agent), INVALID);
    await registers(acme, acme.log);
    await registers(mallory, mallory.log);
    // A DID that was not there is asked for again soon.
    await expect
      .poll(async () => (await sendHttp1(scene.port, requestOf(issuerOf(acme), (await registered()).agent))).status, {
        timeout: 10_000,
        interval: 200,
      })
      .toBe(200);
  });

  test('E15 a key that was dropped is refused within a second, and the new one holds', async () => {
    const { log, agent } = await registered();
    const young = generatePrivateKey('Ed25519');
    const drop = acme.next(log, { state: withKeys(log.did, young) });
    const write = () => writeTo(vault, acme, versionsOf('agents', log), drop);
    await expectRefusedAfter(scene, write, () => requestOf(issuerOf(acme), agent), UNKNOWN);
    await scene.expectAllowed(requestOf(issuerOf(acme), keyed(young, log.did)));
  });

  test('E15 both keys hold in between: a rotation fails no request', async () => {
    const { log, key, agent } = await registered();
    const young = generatePrivateKey('Ed25519');
    await scene.expectAllowed(requestOf(issuerOf(acme), agent));
    const both = acme.next(log, { state: withKeys(log.did, key, young) });
    const writing = writeTo(vault, acme, versionsOf('agents', log), both);
    for (let at = 0; at < 10; at++) await scene.expectAllowed(requestOf(issuerOf(acme), agent));
    expect((await writing).status).toBe(201);
    for (const holder of [agent, keyed(young, log.did)]) await scene.expectAllowed(requestOf(issuerOf(acme), holder));
  });

  test('E15 an agent that was deactivated is refused within a second, and for good', async () => {
    const { log, agent } = await registered();
    const write = () => writeTo(vault, acme, versionsOf('agents', log), acme.end(log));
    await expectRefusedAfter(scene, write, () => requestOf(issuerOf(acme), agent), UNKNOWN);
    const again = acme.next(acme.end(log), { parameters: { deactivated: false } });
    expect((await writeTo(vault, acme, versionsOf('agents', log), again)).status).toBe(409);
    await scene.expectDenied(requestOf(issuerOf(acme), agent), UNKNOWN);
  });

  test('E19 a DID that is taken over, its place or its log', async () => {
    const { log, agent } = await registered();
    const key = generatePrivateKey('Ed25519');
    const theirs = (did: string) => stateOf(did, [mallory.did], [key], ['capabilityInvocation']);
    // Another log for the same place, by someone else and by the operator itself; the same log again.
    const squatted = mallory.first(log.location, theirs);
    const attempts: [number, Promise<{ status: number; text: string }>][] = [
      [403, writeTo(vault, mallory, '/v1/agents', squatted)],
      [403, writeTo(vault, mallory, '/v1/agents', log)],
      [409, writeTo(vault, acme, '/v1/agents', log)],
      [
        409,
        writeTo(
          vault,
          acme,
          '/v1/agents',
          acme.first(log.location, (did) => stateOf(did, [acme.did], [key], ['capabilityInvocation'])),
        ),
      ],
      // Another version of the log, signed by whoever holds no key of it; in the name of its operator too.
      [403, writeTo(vault, mallory, versionsOf('agents', log), mallory.next(log, { state: () => theirs(log.did) }))],
      [422, writeTo(vault, acme, versionsOf('agents', log), mallory.next(log, { state: withKeys(log.did, key) }))],
      [401, writeTo(vault, acme, versionsOf('agents', log), acme.next(log), { key: mallory.key })],
      [403, writeTo(vault, stranger, '/v1/operators', stranger.log)],
    ];
    for (const [status, answer] of attempts) expect(await answer).toMatchObject({ status });
    await scene.expectAllowed(requestOf(issuerOf(acme), agent));
    await scene.expectDenied(requestOf(issuerOf(acme), keyed(key, log.did)), UNKNOWN);
    await scene.expectDenied(requestOf(issuerOf(mallory), keyed(key, squatted.did)), UNKNOWN);
    await scene.expectDenied(requestOf(issuerOf(stranger), agent), INVALID);
  });

  test('E10 an agent of another operator, also with its key', async () => {
    const { log, agent } = await registered();
    await scene.expectDenied(requestOf(issuerOf(mallory), agent), UNKNOWN);
    await scene.expectDenied(requestOf(issuerOf(mallory), forged(log.did)), UNKNOWN);
    await scene.expectAllowed(requestOf(issuerOf(acme), agent));
  });

  test('E15 an issuing key that was dropped is refused within a second, under roots that were good', async () => {
    const { agent } = await registered();
    const young = generatePrivateKey('Ed25519');
    const old = issuerOf(acme);
    const token = mintRoot(old, agent);
    const id = `${acme.did}#key-2`;
    const rotation = acme.next(acme.log, {
      state: (state) => ({
        ...state,
        verificationMethod: [{ id, type: 'JsonWebKey', controller: acme.did, publicKeyJwk: young.publicKey.jwk }],
        capabilityInvocation: [id],
        assertionMethod: [id],
      }),
    });
    const write = () => writeTo(vault, acme, versionsOf('operators', acme.log), rotation);
    await expectRefusedAfter(scene, write, () => requestOf(old, agent, token), INVALID);
    await scene.expectAllowed(requestOf(issuerOf(acme, young, id), agent));
  });
});

describe.skipIf(NO_NAME)(`E: with the vault elsewhere, whose news the gateway follows${NO_NAME}`, { timeout: 60_000 }, () => {
  let vault: SeparateVault;
  let opened: HostScene;
  let scene: Scene;
  let acme: Operator;

  beforeAll(async () => {
    const tls = await selfSigned(OWN.name);
    vault = await makeSeparateVault(tls);
    acme = new Operator('acme', { host: vault.spelled });
    await vault.serve([acme.did]);
    // Kept for minutes unless the vault says otherwise.
    opened = await openHostScene({ resolution: { vaults: [vault.origin] }, authorities: [tls.cert] });
    scene = opened.scene;
    expect((await writeTo(vault.address, acme, '/v1/operators', acme.log)).status).toBe(201);
    const follows = () => expect(scene.world.gatewayLog()).toContain('following the vault');
    await vi.waitFor(follows, { timeout: 20_000 });
  });
  afterAll(async () => {
    await opened?.stop();
    await vault?.stop();
  });

  const registered = async () => {
    const key = generatePrivateKey('Ed25519');
    const controller = [acme.did, scene.operator.did];
    const log = acme.agent(fresh(), [key], { state: (state) => ({ ...state, controller }) });
    expect((await writeTo(vault.address, acme, '/v1/agents', log)).status).toBe(201);
    return { log, agent: keyed(key, log.did) };
  };

  test('E15 a key that was dropped is refused within a second, and the new one holds', async () => {
    const { log, agent } = await registered();
    const young = generatePrivateKey('Ed25519');
    const state = () => stateOf(log.did, [acme.did, scene.operator.did], [young], ['capabilityInvocation']);
    const write = () => writeTo(vault.address, acme, versionsOf('agents', log), acme.next(log, { state }));
    await expectRefusedAfter(scene, write, () => requestOf(scene.operator, agent), UNKNOWN);
    await scene.expectAllowed(requestOf(scene.operator, keyed(young, log.did)));
  });

  test('E15 an agent that was deactivated is refused within a second', async () => {
    const { log, agent } = await registered();
    const write = () => writeTo(vault.address, acme, versionsOf('agents', log), acme.end(log));
    await expectRefusedAfter(scene, write, () => requestOf(scene.operator, agent), UNKNOWN);
  });
});
