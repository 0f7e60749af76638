// Load on a gateway before anything is measured: V8 goes on compiling what a decision runs for about 20,000 of them, beside the
// decisions and at their cost, of which a service that stays up sees nothing.

import { CHAT_PATH, chatBody } from './credentials.ts';
import type { Load } from './load.ts';
import type { BatchOrder } from './load-protocol.ts';

const CONNECTIONS = 16;
/** Turns of so many seconds: requests are signed before a turn, and signatures age. */
const TURN_SECONDS = 5;
/** More than a gateway answers in a second under one Envoy worker. */
const MOST_PER_SECOND = 2500;

/**
 * As fast as it answers, for so many seconds.
 * @param port of its Envoy
 * @param credentialOf for so many requests
 * @throws {VoidRun} when an answer is not 200
 */
export async function warmGateway(
  load: Load,
  port: number,
  credentialOf: (requests: number) => BatchOrder['credential'],
  seconds: number,
): Promise<void> {
  const count = TURN_SECONDS * MOST_PER_SECOND;
  for (let left = seconds; left > 0; left -= TURN_SECONDS) {
    await load.prepare({ path: CHAT_PATH, body: chatBody(1024), count, credential: credentialOf(count) });
    await load.run({ port, connections: CONNECTIONS, warmupMillis: 0, millis: Math.min(left, TURN_SECONDS) * 1000, pids: [] });
  }
}
