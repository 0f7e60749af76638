// A gateway that may reach hosts of DIDs on this machine.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Answer } from '../vault/fetch/hostile-host.ts';
import { OWN, type Site, selfSigned, startSite } from './own-site.ts';
import type { WireRequest } from './raw-http.ts';
import { openScene, type Scene, type Verdict } from './scene.ts';

export const UNKNOWN: Verdict = [401, 'identity-unknown'];
export const UNAVAILABLE: Verdict = [503, 'identity-unavailable'];
export const INVALID: Verdict = [401, 'chain-invalid'];
/** Milliseconds in which an answer is there, whatever a host does. */
export const BOUND = 2000;

/** Written for as long as the other side takes it. */
export function endless(head: string, piece: string, pauseMillis = 0): Answer {
  return (socket: Socket) => {
    socket.write(head);
    const write = () => {
      if (!socket.destroyed) socket.write(piece, () => setTimeout(write, pauseMillis));
    };
    write();
  };
}

export interface HostScene {
  readonly scene: Scene;
  /** With certificates that the gateway trusts, and hosts whose did:web it takes. */
  readonly sites: readonly [Site, Site, Site];
  stop(): Promise<void>;
}

export interface HostSceneSettings {
  /** Members of `resolution`; it connects to this machine unless they say otherwise. */
  readonly resolution?: Readonly<Record<string, unknown>>;
  /** More hosts whose did:web is taken. */
  readonly web?: readonly string[];
  /** More authorities that are trusted, PEM. */
  readonly authorities?: readonly string[];
}

export async function openHostScene({ resolution, web = [], authorities = [] }: HostSceneSettings = {}): Promise<HostScene> {
  const directory = mkdtempSync(join(tmpdir(), 'hb-'));
  const tls = await selfSigned(OWN.name);
  const sites = [await startSite(tls), await startSite(tls), await startSite(tls)] as const;
  const end = async () => {
    for (const site of sites) await site.close();
    rmSync(directory, { recursive: true, force: true });
  };
  const trustedCa = join(directory, 'ca.pem');
  writeFileSync(trustedCa, [tls.cert, ...authorities].map((pem) => `${pem.trimEnd()}\n`).join(''));
  const allowedAddresses = OWN.addresses.map((address) => `${address}/32`);
  const hosts = [...sites.map(({ host }) => host), ...web];
  try {
    const scene = await openScene({ resolution: { web: hosts, trustedCa, allowedAddresses, ...resolution } });
    const stop = async () => {
      await scene.stop();
      await end();
    };
    return { scene, sites, stop };
  } catch (error) {
    await end();
    throw error;
  }
}

export async function timed<T>(action: () => Promise<T>): Promise<{ readonly value: T; readonly took: number }> {
  const since = performance.now();
  const value = await action();
  return { value, took: performance.now() - since };
}

/** Refused, and within the bound; a machine that stalled gets two more tries, each with a DID that was not asked for yet. */
export async function expectDeniedInTime(scene: Scene, wire: () => WireRequest, verdict: Verdict): Promise<void> {
  for (let left = 2; ; left--) {
    const { took } = await timed(() => scene.expectDenied(wire(), verdict));
    if (took > BOUND && left > 0) continue;
    expect(took).toBeLessThanOrEqual(BOUND);
    return;
  }
}
