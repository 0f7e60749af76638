/** What the SDK tests read: a stream with the time of each piece, and what of an agent must not be seen at the provider. */
import { expect } from 'vitest';
import type { ReceivedRequest } from '../../examples/quickstart/llm-stand-in.ts';

/** A stream that is buffered anywhere arrives within a few milliseconds. */
export const MIN_SPREAD_MILLIS = 150;

export interface Streamed {
  readonly text: string;
  /** Arrival of each piece, monotonic milliseconds. */
  readonly arrivals: readonly number[];
}

export async function readStream<Event>(
  events: AsyncIterable<Event>,
  textOf: (event: Event) => string | null | undefined,
): Promise<Streamed> {
  let text = '';
  const arrivals: number[] = [];
  for await (const event of events) {
    const piece = textOf(event);
    if (!piece) continue;
    text += piece;
    arrivals.push(performance.now());
  }
  return { text, arrivals };
}

export function expectStreamed({ text, arrivals }: Streamed, whole: string): void {
  expect(text).toBe(whole);
  expect(arrivals.length).toBeGreaterThanOrEqual(10);
  expect((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)).toBeGreaterThanOrEqual(MIN_SPREAD_MILLIS);
}

const CREDENTIALS = ['authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'proxy-authorization', 'cookie'];
const PRIVATE =
  /^(?:agent-|x-agent-|signature|accept-signature$|content-digest$|x-envoy-|x-forwarded-|forwarded$|via$|x-request-id$)/;

/** The provider saw its own key in its own header, nothing of the agent, its operator, the sidecar or the proxies, and a trace id. */
export function expectOnlyTheProvidersOwn(
  received: ReceivedRequest | undefined,
  credential: readonly [name: string, value: string],
  secrets: readonly string[],
): void {
  if (received === undefined) throw new Error('the provider received nothing');
  const names = received.rawHeaders.map(([name]) => name);
  expect(received.rawHeaders.filter(([name]) => CREDENTIALS.includes(name))).toEqual([credential]);
  expect(names.filter((name) => PRIVATE.test(name))).toEqual([]);
  expect(received.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  const sent = [received.path, ...received.rawHeaders.map(([, value]) => value)].join('\n');
  for (const secret of secrets) expect(sent).not.toContain(secret);
}
