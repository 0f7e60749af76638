// A chain of tokens, root first (profile section 3): which token or edge of it does not hold, before any signature is looked at.

import { type RootForm, readRootForm } from './capability-token.ts';
import { findEdgeFault } from './edge.ts';
import { type LinkForm, readLinkForm } from './link-token.ts';
import { TokenError } from './token-form.ts';

export type ChainForm = readonly [RootForm, ...LinkForm[]];

export interface ChainFault {
  /** 0 is the root. */
  readonly at: number;
  /** In words that follow {@link tokenName}. */
  readonly why: string;
}

/** What a message calls the token at this place. */
export function tokenName(at: number): string {
  return at === 0 ? 'the root token' : `link ${at}`;
}

/** @throws {TokenError} that names the token, and the member that is wrong in it. */
export function readChainForm([root, ...links]: readonly [string, ...string[]]): ChainForm {
  const below = links.map((link, index) => readAt(index + 1, () => readLinkForm(link)));
  return [readAt(0, () => readRootForm(root)), ...below];
}

/** @throws {TokenError} as `read` does, with the token's name in front. */
export function readAt<Read>(at: number, read: () => Read): Read {
  try {
    return read();
  } catch (error) {
    if (error instanceof TokenError) throw new TokenError(`${tokenName(at)} is not in the form of the profile: ${error.message}`);
    throw error;
  }
}

/** @returns the uppermost edge that does not hold; signatures and the clock are not looked at. */
export function findChainFault(chain: ChainForm): ChainFault | undefined {
  const [root, ...links] = chain;
  let parent: RootForm | LinkForm = root;
  for (const [index, link] of links.entries()) {
    const at = index + 1;
    const why = findEdgeFault(link, parent) ?? findRecurrence(link, chain.slice(0, at));
    if (why !== undefined) return { at, why };
    parent = link;
  }
  return undefined;
}

function findRecurrence({ untrustedClaims }: LinkForm, above: readonly (RootForm | LinkForm)[]): string | undefined {
  const { jti, client_id } = untrustedClaims;
  if (above.some((token) => token.untrustedClaims.jti === jti)) return 'has the id of a token above it (jti)';
  const agents = above.map((token) => token.untrustedClaims.client_id);
  return agents.includes(client_id) && agents.at(-1) !== client_id
    ? 'comes back to an agent that the chain has left (client_id)'
    : undefined;
}
