import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Starts the provider in a thread of its own (provider-thread.ts). */
export async function startProvider(): Promise<{ readonly port: number; stop(): Promise<unknown> }> {
  const thread = new Worker(new URL('./provider-thread.ts', import.meta.url));
  const [port] = (await once(thread, 'message')) as [number];
  return { port, stop: () => thread.terminate() };
}
