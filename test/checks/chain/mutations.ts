// What can be done to a valid chain, by who holds one of its keys and by who holds none. Every one must be refused.
// What its holder could sign is signed anew, and so are the links below it: then the one edge is all that is wrong.

import canonicalize from 'canonicalize';
import type { PrivateKey } from '../../../src/crypto/private-key.ts';
import type { AuthorizationDetails } from '../../../src/token/authorization-details.ts';
import { keyOf } from '../../keys.ts';
import { type Claims, type LinkParts, linkBelow, type MadeToken, signingInputHash } from '../../link.ts';
import { type Pick, widened } from '../../token/any-details.ts';
import { AGENTS, type Chain, DAY, didOf, makeRoot, NOW } from './chain-pool.ts';

export interface Mutant {
  readonly tokens: readonly string[];
  readonly keyid: string;
}

/** @returns nothing where the chain has not what is to be changed */
export type Mutation = (chain: Chain, pick: Pick, others: readonly Chain[]) => Mutant | undefined;

const URN = 'urn:ietf:params:oauth:jwk-thumbprint:sha-256:';

function asSent(chain: readonly MadeToken[]): Mutant {
  return { tokens: chain.map(({ compact }) => compact), keyid: chain.at(-1)?.key.publicKey.jkt ?? '' };
}

/** The chain with another link at this place, and the same links below it under new signatures. */
function remade(chain: Chain, at: number, parts: Partial<LinkParts>, inherited: Claims = {}): Mutant {
  const made: MadeToken[] = chain.slice(0, at);
  for (const [index, old] of chain.slice(at).entries()) {
    const parent = made.at(-1) ?? chain[0];
    const { iss: _, cnf: __, par_hash: ___, ...claims } = old.claims;
    const own = index === 0 ? { ...claims, ...parts.claims } : { ...claims, ...inherited };
    made.push(linkBelow(parent, { key: old.key, ...(index === 0 && parts), claims: own }));
  }
  return asSent(made);
}

/** A mutation of the claims of one link that has what it needs, from its parent's and its own; signed by the holder of its parent's key. */
function claiming(change: (parent: MadeToken, link: MadeToken, pick: Pick) => Claims | undefined, inherited = false): Mutation {
  return (chain, pick) => {
    const first = pick(chain.length - 1);
    for (let tried = 0; tried < chain.length - 1; tried++) {
      const at = 1 + ((first + tried) % (chain.length - 1));
      const claims = change(chain[at - 1] ?? chain[0], chain[at] ?? chain[1], pick);
      if (claims) return remade(chain, at, { claims }, inherited ? claims : {});
    }
    return undefined;
  };
}

/** A mutation of the text of one link's claims that leaves the same JSON value, or one that has no canonical form. */
function spelling(change: (text: string, claims: Claims, pick: Pick) => string): Mutation {
  return (chain, pick) => {
    const at = 1 + pick(chain.length - 1);
    const link = chain[at] ?? chain[1];
    const text = change(String(canonicalize(link.claims)), link.claims, pick);
    return remade(chain, at, { payload: text });
  };
}

function anotherKey(key: PrivateKey, pick: Pick): PrivateKey {
  const names = ['stranger', 'operator', ...AGENTS, 'session 0', 'session 1', 'session 2'];
  const keys = names.map((name) => keyOf(name)).filter(({ publicKey }) => publicKey.jkt !== key.publicKey.jkt);
  return keys[pick(keys.length)] ?? keyOf('stranger');
}

const detailsOf = ({ claims }: MadeToken) => (claims.authorization_details as [AuthorizationDetails])[0];
const swapped = (text: string, at: number) => `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'details widened in any member': claiming((parent, _link, pick) => {
    const beyond = widened(detailsOf(parent), pick);
    return beyond && { authorization_details: [beyond.details] };
  }),
  'two entries of details': claiming((parent) => ({ authorization_details: [detailsOf(parent), detailsOf(parent)] })),
  'outlives its parent': claiming(({ claims }, _link, pick) => ({ exp: Number(claims.exp) + 1 + pick(1000) })),
  'older than its parent': claiming(({ claims }, _link, pick) => ({ iat: Number(claims.iat) - 1 - pick(1000) })),
  expired: claiming(({ claims }, _link, pick) => ({ iat: claims.iat, exp: NOW - pick(100) }), true),
  'issued in the future': claiming((_parent, _link, pick) => ({ iat: NOW + 31 + pick(100) }), true),
  'another principal': claiming((_parent, _link, pick) => ({ sub: didOf(AGENTS[pick(AGENTS.length)] ?? '') }), true),
  'a gateway that its parent is not for': claiming(({ claims }) => ({ aud: [[claims.aud].flat(), 'fourth.example'].flat() })),
  'not for this gateway': claiming(({ claims }) =>
    Array.isArray(claims.aud) ? { aud: claims.aud.filter((name) => name !== 'gateway.example') } : undefined,
  ),
  'another session': claiming(({ claims }, _link, pick) => (claims.sid ? { sid: pick(2) ? 'another' : null } : undefined), true),
  'another task': claiming(({ claims }, _link, pick) => (claims.task ? { task: pick(2) ? 'another' : null } : undefined), true),
  'a session of more than twelve hours': claiming(({ claims }, _link, pick) => {
    const exp = Number(claims.iat) + DAY / 2 + 1 + pick(100);
    return claims.sid === undefined && exp <= Number(claims.exp) ? { sid: 'long', iat: claims.iat, exp } : undefined;
  }),
  'a task of more than fifteen minutes': claiming(({ claims }, _link, pick) => {
    const exp = Number(claims.iat) + 901 + pick(100);
    return claims.task === undefined && exp <= Number(claims.exp) ? { task: 'long', iat: claims.iat, exp } : undefined;
  }),
  'a depth of another place': claiming((_parent, { claims }, pick) => {
    const depth = pick(7);
    return depth === claims.del_depth ? undefined : { del_depth: depth };
  }),
  'a higher ceiling than its parent': claiming(({ claims }, _link, pick) => ({
    del_max_depth: Number(claims.del_max_depth) + 1 + pick(3),
  })),
  'deeper than its own ceiling': claiming((_parent, { claims }, pick) => ({ del_max_depth: pick(Number(claims.del_depth)) })),
  'the hash of another token': claiming((parent, link, pick) => {
    const [input = ''] = [parent.compact, link.compact, `${parent.compact}.x.`].slice(pick(3));
    const hash = signingInputHash(pick(2) ? `${input}.x` : input);
    return hash === signingInputHash(parent.compact) ? { par_hash: null } : { par_hash: hash };
  }),
  'another issuer': claiming((parent, _link, pick) => {
    const key = anotherKey(parent.key, pick);
    return { iss: [`${URN}${key.publicKey.jkt}`, parent.key.publicKey.jkt, didOf('operator'), didOf('agent')][pick(4)] };
  }),
  'the id of an ancestor': (chain, pick) => {
    const at = 1 + pick(chain.length - 1);
    return remade(chain, at, { claims: { jti: chain[pick(at)]?.claims.jti } });
  },
  'back to an agent that was left': (chain, pick) => {
    const at = 1 + pick(chain.length - 1);
    const above = chain.slice(0, at).map(({ claims }) => claims.client_id);
    const left = AGENTS.find((name) => above.includes(didOf(name)) && above.at(-1) !== didOf(name));
    return left === undefined ? undefined : remade(chain, at, { key: keyOf(left), claims: { client_id: didOf(left) } });
  },
  'an agent with a key that is not its own': (chain, pick) => {
    const at = 1 + pick(chain.length - 1);
    const taken = chain.map(({ claims }) => claims.client_id);
    const other = ['stranger', 'someone'].find((name) => !taken.includes(didOf(name))) ?? '';
    return remade(chain, at, { claims: { client_id: didOf(other) } });
  },
  'a claim that no link has': claiming((_parent, _link, pick) => {
    const names = ['nbf', 'act', 'scope', 'may_act', 'del_hash', 'restrictions', 'x', 'ISS'];
    return { [names[pick(names.length)] ?? 'x']: pick(2) ? 1 : 'all' };
  }),
  'a claim missing': claiming((_parent, { claims }, pick) => {
    const names = Object.keys(claims).filter((name) => name !== 'sid' && name !== 'task');
    return { [names[pick(names.length)] ?? 'iss']: null };
  }),
  'a claim of another type': claiming((_parent, { claims }, pick) => {
    const names = Object.keys(claims);
    const name = names[pick(names.length)] ?? 'iss';
    return { [name]: [{ 0: claims[name] }, true, 1.5, '', [[claims[name]]]][pick(5)] };
  }),
  'a key that is none': claiming((_parent, { key }, pick) => {
    const { jwk } = key.publicKey;
    const jwks = [
      { ...jwk, alg: 'Ed25519', x: 'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
      { ...jwk, alg: 'ES256' },
      { ...jwk, alg: 'EdDSA' },
      { ...jwk, alg: undefined },
      { ...jwk, alg: 'Ed25519', d: 'AAAA' },
      { ...jwk, alg: 'Ed25519', x: `${jwk.x}=` },
      { kty: 'oct', k: 'AAAA', alg: 'Ed25519' },
    ];
    return { cnf: { jwk: JSON.parse(JSON.stringify(jwks[pick(jwks.length)])) } };
  }),
  'a header that no link has': (chain, pick) => {
    const headers = [
      { kid: didOf('operator') },
      { kid: keyOf('stranger').publicKey.jkt },
      { alg: ['ES256', 'EdDSA', 'none', 'PS256'][pick(4)] },
      { typ: ['JWT', 'agent-cap', null][pick(3)] },
      { [['crit', 'jwk', 'jku', 'x5u', 'b64', 'cty'][pick(6)] ?? 'crit']: pick(2) ? [] : true },
    ];
    return remade(chain, 1 + pick(chain.length - 1), { header: headers[pick(headers.length)] });
  },
  'signed with another key': (chain, pick) => {
    const at = 1 + pick(chain.length - 1);
    return remade(chain, at, { signedBy: anotherKey((chain[at - 1] ?? chain[0]).key, pick) });
  },
  'issued and signed with another key': (chain, pick) => {
    const at = 1 + pick(chain.length - 1);
    const key = anotherKey((chain[at - 1] ?? chain[0]).key, pick);
    return remade(chain, at, { signedBy: key, claims: { iss: `${URN}${key.publicKey.jkt}` } });
  },
  'members in another order': spelling((_text, claims, pick) => {
    const entries = Object.entries(claims);
    const cut = 1 + pick(entries.length - 1);
    const turned = JSON.stringify(Object.fromEntries([...entries.slice(cut), ...entries.slice(0, cut)]));
    return turned === canonicalize(claims) ? `${turned} ` : turned;
  }),
  'white space': spelling((text, _claims, pick) => {
    const places = [...text.matchAll(/[{[,:\]}]/g)].map(({ index }) => index);
    // Within a string it would be another value, which the commas of none of them are.
    const at = places[pick(places.length)] ?? 0;
    return pick(2) ? `${text}\n` : `${text.slice(0, at)} ${text.slice(at)}`;
  }),
  'a number in another form': spelling((text, _claims, pick) =>
    text.replace(/"(iat|exp)":(\d+)/, ['"$1":$2.0', '"$1":$2e0'][pick(2)] ?? ''),
  ),
  'an escape': spelling((text, _claims, pick) =>
    text.replace(pick(2) ? 'did:key' : '"jti":"', (found) => (found.startsWith('d') ? '\\u0064id:key' : '"\\u006ati":"')),
  ),
  'a member twice': spelling((text, claims, pick) => {
    const names = Object.keys(claims);
    const name = names[pick(names.length)] ?? 'iss';
    return text.replace(/}$/, `,${JSON.stringify(name)}:${JSON.stringify(claims[name])}}`);
  }),
  'a root that its agent signed': (chain, pick) => {
    const [root] = chain;
    const broader = {
      ...root.claims,
      ...(pick(2) ? { jti: root.claims.jti } : { authorization_details: [{ type: 'llm_access', actions: ['chat'] }] }),
    };
    const made = makeRoot({}, broader, pick(2) ? root.key : keyOf('stranger'));
    return remade([made, ...chain.slice(1)] as unknown as Chain, 1, {});
  },
  'a token dropped': (chain, pick) => {
    const at = pick(chain.length);
    // Who holds the leaf's key only signs with it.
    return { tokens: asSent(chain).tokens.filter((_, index) => index !== at), keyid: asSent(chain).keyid };
  },
  'the leaf dropped, its key kept': (chain) => ({ tokens: asSent(chain.slice(0, -1)).tokens, keyid: asSent(chain).keyid }),
  'a token twice': (chain, pick) => {
    const at = pick(chain.length);
    return asSent([...chain.slice(0, at + 1), ...chain.slice(at)]);
  },
  'two tokens exchanged': (chain, pick) => {
    const made = [...chain];
    const [one, other] = [pick(made.length), pick(made.length)];
    const [first, second] = [made[one], made[other]];
    if (first === undefined || second === undefined || one === other) return undefined;
    made[one] = second;
    made[other] = first;
    return asSent(made);
  },
  'a token out of another chain': (chain, pick, others) => {
    const other = others[pick(others.length)];
    const at = pick(chain.length);
    const foreign = other?.[Math.min(at + pick(2), other.length - 1)];
    return foreign === undefined || other === chain
      ? undefined
      : asSent(chain.map((token, index) => (index === at ? foreign : token)));
  },
  'the head of one chain on the tail of another': (chain, pick, others) => {
    const other = others[pick(others.length)];
    if (other === undefined || other === chain) return undefined;
    return asSent([...other.slice(0, 1 + pick(other.length - 1)), ...chain.slice(1 + pick(chain.length - 1))]);
  },
  'moved under a broader root of the same key': (chain) => {
    const [root, ...links] = chain;
    return asSent([makeRoot({ type: 'llm_access', actions: ['chat'] }, { aud: root.claims.aud }), ...links]);
  },
  'moved under the same root issued again': (chain) => {
    const [root, ...links] = chain;
    return asSent([makeRoot(detailsOf(root)), ...links]);
  },
  'moved under a broader link of the same key': (chain, pick) => {
    const at = 2 + pick(Math.max(1, chain.length - 2));
    const [parent, above] = [chain[at - 1], chain[at - 2]];
    if (chain[at] === undefined || parent === undefined || above === undefined) return undefined;
    const { iss: _, cnf: __, par_hash: ___, ...claims } = parent.claims;
    const broader = linkBelow(above, {
      key: parent.key,
      claims: { ...claims, authorization_details: above.claims.authorization_details, jti: 'B'.repeat(22) },
    });
    return asSent([...chain.slice(0, at - 1), broader, ...chain.slice(at)]);
  },
  'a character exchanged': (chain, pick) => {
    const at = pick(chain.length);
    const { tokens, keyid } = asSent(chain);
    return { tokens: tokens.map((token, index) => (index === at ? swapped(token, pick(token.length)) : token)), keyid };
  },
  'a character more or less': (chain, pick) => {
    const at = pick(chain.length);
    const { tokens, keyid } = asSent(chain);
    const change = [
      (token: string) => token.slice(0, -1),
      (token: string) => `${token}A`,
      (token: string) => `${token}=`,
      (token: string) => ` ${token}`,
    ];
    return { tokens: tokens.map((token, index) => (index === at ? (change[pick(4)]?.(token) ?? '') : token)), keyid };
  },
  "another's key for the request": (chain, pick) => {
    const leaf = chain.at(-1) ?? chain[0];
    return { tokens: asSent(chain).tokens, keyid: anotherKey(leaf.key, pick).publicKey.jkt };
  },
};
