// E and the faults of hosts (X27, X28): documents that change and hosts that fail, at a gateway that keeps documents for seconds
// where they would be minutes.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerWith } from '../vault/fetch/hostile-host.ts';
import { textOf } from '../vault/webvh/log-maker.ts';
import { newHolder } from './attacker.ts';
import { type Agent, forged, logOf, publishLog, requestOf, rotated, webAgent } from './identity-documents.ts';
import { BOUND, type HostScene, openHostScene, timed, UNAVAILABLE, UNKNOWN } from './identity-world.ts';
import { NO_NAME, type Site } from './own-site.ts';
import { sendHttp1 } from './raw-http.ts';
import type { Scene } from './scene.ts';

describe.skipIf(NO_NAME)(`E: hosts that change and fail${NO_NAME}`, () => {
  const TTL = 1000;
  const MAX_STALE = 8000;
  /** A failure is kept for two seconds; the rest is the machine's. */
  const SOON = { timeout: 8000, interval: 100 };
  let opened: HostScene;
  let scene: Scene;
  let operator: string;
  let site: Site;
  let failing: Site;
  let slow: Site;

  beforeAll(async () => {
    const resolution = { ttlSeconds: TTL / 1000, maxStaleSeconds: MAX_STALE / 1000, requestsPerSecond: 40 };
    opened = await openHostScene({ resolution });
    scene = opened.scene;
    [site, failing, slow] = opened.sites;
    operator = scene.operator.did;
  });
  afterAll(() => opened?.stop());

  const of = (agent: Agent) => requestOf(scene.operator, agent);
  const statusOf = async (agent: Agent) => (await sendHttp1(scene.port, of(agent))).status;
  test('E15 a key that was dropped is refused when the document is fetched again, and the new one is found at once', async () => {
    const old = publishLog(site, operator);
    await scene.expectAllowed(of(old));
    const young = rotated(old, operator, newHolder());
    site.files.set(old.path, textOf(young.log));
    const since = performance.now();
    await expect.poll(() => statusOf(young), SOON).toBe(200);
    await expect.poll(() => statusOf(old), SOON).toBe(401);
    expect(performance.now() - since).toBeLessThanOrEqual(TTL + 2 * BOUND);
    await scene.expectDenied(of(old), UNKNOWN);
    await scene.expectAllowed(of(young));
  });

  test('E15 a forger who knows which key comes next cannot make it hold before it is published', async () => {
    const old = publishLog(site, operator);
    const young = rotated(old, operator, newHolder());
    await scene.expectAllowed(of(old));
    await scene.expectDenied(of(young), UNKNOWN);
    await scene.expectAllowed(of(old));
  });

  test('E12 a log that is cut while the gateway runs brings no old key back', { timeout: 60_000 }, async () => {
    const old = publishLog(site, operator);
    const young = rotated(old, operator, newHolder());
    site.files.set(old.path, textOf(young.log));
    await scene.expectAllowed(of(young));
    site.files.set(old.path, textOf(old.log));
    const until = performance.now() + MAX_STALE;
    // What was verified serves on for as long as it may, and the log that was cut never does.
    while (performance.now() < until) {
      expect(await statusOf(old)).toBe(401);
      await sleep(300);
    }
    await expect.poll(() => statusOf(young), SOON).toBe(401);
    await scene.expectDenied(of(young), UNKNOWN);
    expect(scene.world.gatewayLog()).toContain('the log ends at version 1, but version 2 was seen here before');
  });

  test('E16 whoever makes a DID fail locks its agent out for seconds, and nobody else', { timeout: 60_000 }, async () => {
    const [victim, bystander] = [logOf(site, operator), publishLog(site, operator)];
    site.files.set(victim.path, answerWith('{}', [], '500 Broken'));
    const since = performance.now();
    for (let time = 0; time < 20; time++) {
      await scene.expectDenied(of(victim), UNAVAILABLE);
      if (time % 5 === 0) await scene.expectAllowed(of(bystander));
    }
    const asked = site.asked().filter((path) => path === victim.path).length;
    expect(asked).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - since) / 2000));
    site.files.set(victim.path, textOf(victim.log));
    const back = performance.now();
    await expect.poll(() => statusOf(victim), SOON).toBe(200);
    expect(performance.now() - back).toBeLessThanOrEqual(2000 + BOUND);
  });

  test('E16 an agent that was seen is not locked out by forgers in its name', async () => {
    const victim = publishLog(site, operator);
    await scene.expectAllowed(of(victim));
    const before = site.asked().length;
    const since = performance.now();
    for (let time = 0; time < 30; time++) {
      await scene.expectDenied(requestOf(scene.operator, forged(victim.did)), UNKNOWN);
      if (time % 5 === 0) await scene.expectAllowed(of(victim));
    }
    // Each of them may have been published a moment ago: at most once a second the host is asked.
    expect(site.asked().length - before).toBeLessThanOrEqual(2 + (performance.now() - since) / 1000);
  });

  test('X27 a slow host is slow for its own agents and nobody else', { timeout: 60_000 }, async () => {
    const bystander = publishLog(site, operator);
    await scene.expectAllowed(of(bystander));
    const stuck = Array.from({ length: 8 }, () => {
      const agent = logOf(slow, operator);
      slow.files.set(agent.path, () => {});
      return agent;
    });
    const waiting = stuck.map((agent) => timed(() => sendHttp1(scene.port, of(agent))));
    const others: number[] = [];
    for (let time = 0; time < 10; time++) {
      const { value, took } = await timed(() => statusOf(bystander));
      expect(value).toBe(200);
      others.push(took);
    }
    const answered = await Promise.all(waiting);
    expect(answered.map(({ value }) => value.status)).toEqual(stuck.map(() => 503));
    // The half of them, so that a stall of this machine does not count as one of the gateway.
    expect(others.toSorted((a, b) => a - b)[5]).toBeLessThan(500);
    expect(answered.map(({ took }) => took).toSorted((a, b) => a - b)[4]).toBeLessThanOrEqual(BOUND);
  });

  test('X28 garbage after a rotation: what was verified serves, until it is too old', { timeout: 60_000 }, async () => {
    const agent = publishLog(site, operator);
    await scene.expectAllowed(of(agent));
    const seen = performance.now();
    const young = rotated(agent, operator, newHolder());
    site.files.set(agent.path, textOf(young.log).slice(0, -50));
    await sleep(TTL + 200);
    await scene.expectAllowed(of(agent));
    await scene.expectDenied(of(young), UNKNOWN);
    await expect.poll(() => statusOf(agent), { timeout: MAX_STALE + 8000, interval: 200 }).toBe(401);
    expect(performance.now() - seen).toBeLessThanOrEqual(MAX_STALE + TTL + BOUND);
    await scene.expectDenied(of(agent), UNKNOWN);
    site.files.set(agent.path, textOf(young.log));
    await expect.poll(() => statusOf(young), SOON).toBe(200);
    await scene.expectDenied(of(agent), UNKNOWN);
  });

  test('X27 a host that is down: who was seen goes on until the document is too old, others go on', {
    timeout: 60_000,
  }, async () => {
    const [agent, late] = [publishLog(failing, operator), publishLog(failing, operator)];
    const bystander = publishLog(site, operator);
    for (const one of [agent, bystander]) await scene.expectAllowed(of(one));
    const seen = performance.now();
    await failing.close();
    await scene.expectDenied(of(late), UNAVAILABLE);
    await sleep(TTL + 200);
    await scene.expectAllowed(of(agent));
    await expect.poll(() => statusOf(agent), { timeout: MAX_STALE + 8000, interval: 200 }).toBe(503);
    expect(performance.now() - seen).toBeLessThanOrEqual(MAX_STALE + TTL + BOUND);
    await scene.expectDenied(of(agent), UNAVAILABLE);
    await scene.expectAllowed(of(bystander));
  });

  test('E17 a flood of DIDs by an operator gone bad goes out at no more than the rate', { timeout: 60_000 }, async () => {
    const before = slow.connections();
    const since = performance.now();
    const statuses = new Set<number>();
    for (let at = 0; at < 10; at++) {
      const sent = Array.from({ length: 30 }, () => statusOf(webAgent(slow)));
      for (const status of await Promise.all(sent)) statuses.add(status);
    }
    // One host gets half of the rate, and as many at once after a second of rest.
    expect(slow.connections() - before).toBeLessThanOrEqual(20 + (20 * (performance.now() - since)) / 1000 + 1);
    expect(statuses).toEqual(new Set([401, 503]));
    const agent = publishLog(site, operator);
    await expect.poll(() => statusOf(agent), SOON).toBe(200);
  });
});
