// Where DIDs stand below a vault's origin: `operators:NAME`, and `agents:OPERATOR:NAME` for the agents of that operator.

import { locationOfDidWebvh } from './did-location.ts';
import type { Kind } from './registry.ts';

export interface VaultPlace {
  readonly kind: Kind;
  /** Name of the operator, the agent's own one included. */
  readonly operator: string;
  readonly name: string;
  /** Of the log below the origin. */
  readonly path: string;
}

const PATH =
  /^\/(?:operators\/(?<self>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)|agents\/(?<operator>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/(?<agent>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?))\/did\.jsonl$/;

/**
 * @param origin of the vault
 * @returns `undefined` for a DID of another host, or one that stands elsewhere than the vault's DIDs do
 * @throws {UnknownDid} for a DID that is no did:webvh
 */
export function placeOf(did: string, origin: string): VaultPlace | undefined {
  const location = locationOfDidWebvh(did);
  const found = location.origin === origin ? PATH.exec(location.path)?.groups : undefined;
  if (found === undefined) return undefined;
  const { self, operator, agent } = found;
  if (self !== undefined) return { kind: 'operator', operator: self, name: self, path: location.path };
  return { kind: 'agent', operator: operator ?? '', name: agent ?? '', path: location.path };
}
