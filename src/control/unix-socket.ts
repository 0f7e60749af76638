// Listening on a Unix socket: what a killed program left behind goes, and nothing that someone still listens on.

import { mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';

/** @throws when someone listens there */
export async function clearSocket(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const inUse = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => resolve(true)).on('error', () => resolve(false));
    probe.on('connect', () => probe.destroy());
  });
  if (inUse) throw new Error(`socket ${path} is in use: another hermesbridge listens there`);
  await rm(path, { force: true });
}
