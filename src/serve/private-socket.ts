// Listens on a Unix socket that only its owner can open, from its first moment on.

import { chmod, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { clearSocket } from '../control/unix-socket.ts';

/**
 * @returns what ends it: nothing new is taken, what is under way is cut, and the socket is gone
 * @throws when someone listens there
 */
export async function listenPrivately(server: Server, path: string): Promise<() => Promise<void>> {
  await clearSocket(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The socket is made within this call: between making and chmod it would be open to all that the usual mask lets in.
    const mask = process.umask(0o177);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(mask);
    }
  });
  await chmod(path, 0o600);
  return async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
    await rm(path, { force: true });
  };
}
