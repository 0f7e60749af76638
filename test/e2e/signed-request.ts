/** Requests that an agent without a sidecar has signed itself, ready to be sent, and to be sent again. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { World } from '../../examples/quickstart/local-world.ts';
import { readPrivateKey } from '../../src/crypto/private-key.ts';
import { signRequest } from '../../src/sign/sign-request.ts';

export interface SignedRequest {
  readonly url: URL;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** @returns signs one chat with the agent's key and capability; `content` makes its body, and so its digest, its own. */
export async function chatSigner(
  world: World,
  capabilityFile = world.files.capability,
): Promise<(content: string, more?: object) => SignedRequest> {
  const key = readPrivateKey(await readFile(world.files.agentKey, 'utf8'));
  const chain = [(await readFile(capabilityFile, 'utf8')).trim()];
  const url = new URL(`${world.gatewayUrl}/openai/v1/chat/completions`);
  return (content, more) => {
    const body = Buffer.from(JSON.stringify({ model: 'gpt-5-mini', messages: [{ role: 'user', content }], ...more }));
    const fields = new Map([['content-type', ['application/json']]]);
    const request = { method: 'POST', authority: url.host, path: url.pathname, query: '?', fields, body };
    const moment = { now: Date.now(), lifetimeSeconds: 60, nonce: randomBytes(16) };
    const headers = signRequest(request, { key, chain }, moment);
    return { url, headers: [['content-type', 'application/json'], ...headers], body };
  };
}

/** @returns the status and, of a denial, the reason; status 0 where the connection failed. */
export async function send({ url, headers, body }: SignedRequest): Promise<{ status: number; reason?: string }> {
  try {
    const answer = await fetch(url, { method: 'POST', headers: headers.map(([name, value]) => [name, value]), body });
    const text = await answer.text();
    if (answer.status === 200) return { status: 200 };
    const problem = answer.headers.get('content-type') === 'application/problem+json' ? JSON.parse(text) : {};
    return { status: answer.status, reason: problem.error?.code };
  } catch {
    return { status: 0 };
  }
}
