// Agents under DIDs that are fetched: documents of did:web and logs of did:webvh, right in every part that a test does not spoil.

import { didOf, type Entry, first, next, textOf } from '../vault/webvh/log-maker.ts';
import { attempt, type Holder, mintRoot, newHolder, toWire } from './attacker.ts';
import type { Site } from './own-site.ts';
import type { WireRequest } from './raw-http.ts';

/** A JSON object, of a form that a test then spoils. */
// biome-ignore lint/suspicious/noExplicitAny: wrong in any part.
export type Json = any;

let names = 0;

/** A name that no test has used. */
export function fresh(): string {
  return `agent-${++names}`;
}

/** The document of an agent with this key, right in every part. */
export function documentOf(did: string, operator: string, holder: Holder): Json {
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://www.w3.org/ns/cid/v1'],
    id: did,
    controller: operator,
    verificationMethod: [{ id: `${did}#key-1`, type: 'JsonWebKey', controller: did, publicKeyJwk: holder.jwk }],
    capabilityInvocation: [`${did}#key-1`],
  };
}

/** An agent under a DID that is found on the web. */
export interface Agent extends Holder {
  /** Where its document or log stands. */
  readonly path: string;
}

export function webAgent(site: Pick<Site, 'spelled'>, name = fresh(), holder = newHolder()): Agent {
  return { ...holder, did: `did:web:${site.spelled}:${name}`, path: `/${name}/did.json` };
}

/** A did:web agent whose document stands there, right but for the change. */
export function publishWeb(site: Site, operator: string, change: (document: Json) => Json = (same) => same): Agent {
  const agent = webAgent(site);
  // A copy: what is spoiled in it is still right in the agent.
  const text = change(structuredClone(documentOf(agent.did, operator, agent)));
  site.files.set(agent.path, typeof text === 'string' ? text : JSON.stringify(text));
  return agent;
}

export interface LoggedAgent extends Agent {
  readonly log: readonly Entry[];
}

/** A did:webvh agent and its log of one entry, which nobody serves yet. */
export function logOf(site: Pick<Site, 'spelled'>, operator: string, parameters: Record<string, unknown> = {}): LoggedAgent {
  const holder = newHolder();
  const name = fresh();
  const location = `${site.spelled}:${name}`;
  const entry = first({ location, parameters, state: documentOf(`did:webvh:{SCID}:${location}`, operator, holder) });
  return { ...holder, did: didOf(entry), path: `/${name}/did.jsonl`, log: [entry] };
}

export function publishLog(site: Site, operator: string, parameters: Record<string, unknown> = {}): LoggedAgent {
  const agent = logOf(site, operator, parameters);
  site.files.set(agent.path, textOf(agent.log));
  return agent;
}

/** The log with one more entry, in which the agent has this key and no other. */
export function rotated(agent: LoggedAgent, operator: string, holder: Holder): LoggedAgent {
  const last = agent.log.at(-1);
  if (last === undefined) throw new Error('an empty log');
  const { did, path, log } = agent;
  return { ...holder, did, path, log: [...log, next(last, { state: documentOf(did, operator, holder) })] };
}

/** A request of the agent's under a root, both signed as they should be. */
export function requestOf(operator: Holder, agent: Holder, token = mintRoot(operator, agent)): WireRequest {
  return toWire(attempt(agent, token));
}

/** Someone who says to be this DID and has a key of its own. */
export function forged(did: string): Holder {
  return { ...newHolder(), did };
}
