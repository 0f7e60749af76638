// A restriction on its way into the vault: it authenticates itself. Taken from those who could have a say over some chain and from
// nobody else, so that strangers cannot fill the log; over which chains, each gateway decides where it sees one (profile section 6).

import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';
import { parseRestriction, RestrictionError, type UntrustedRestriction } from '../restrictions/restriction.ts';
import type { Appended, RestrictionStore } from '../restrictions/restriction-store.ts';
import { type Restriction, reopenRestriction, type SignerKeys, verifyRestriction } from '../restrictions/verify-restriction.ts';
import { UnavailableDid } from '../vault/did-document.ts';
import { fieldErrors } from './accept-write.ts';
import { type AuthorSettings, assertMayLift, type Entitled, entitle, invalid } from './entitled-author.ts';
import type { IssuerRate } from './issuer-rate.ts';
import type { Reply } from './operation.ts';
import { Problem } from './problem.ts';
import { postedRestriction } from './restriction-schemas.ts';

export interface AcceptRestrictionSettings extends AuthorSettings {
  readonly store: RestrictionStore;
  readonly keys: SignerKeys;
  /** As those find them who read the restriction when its author's key has been rotated out: by the history of the DID alone. */
  readonly formerKeys: SignerKeys;
  readonly rate: IssuerRate;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

const CLOCK_SKEW_SECONDS = 30;

/** @throws {Problem} */
export async function acceptRestriction(body: Uint8Array, settings: AcceptRestrictionSettings): Promise<Reply> {
  const { restriction: compact, chain } = readPosted(body);
  const untrusted = parse(compact);
  assertSensible(untrusted, settings);
  const { at } = untrusted.untrustedClaims;
  let restriction: Restriction | undefined;
  let holdsForGood: boolean;
  let entitled: Entitled;
  try {
    entitled = await entitle(untrusted, chain, settings);
    restriction = await verifyRestriction(untrusted, settings.keys, settings.clock());
    holdsForGood = (await verifyRestriction(untrusted, settings.formerKeys, at * 1000)) !== undefined;
  } catch (error) {
    if (!(error instanceof UnavailableDid)) throw error;
    throw new Problem('unavailable', 'The DID of the author cannot be resolved now: send it again.', { cause: error });
  }
  if (restriction === undefined)
    throw new Problem('signature-invalid', 'The restriction does not verify under a current key of its author.', {
      errors: [{ field: 'restriction', detail: 'does not verify' }],
    });
  // Kept, it would make the feed one that no new gateway could believe.
  if (!holdsForGood)
    throw invalid('restriction.at', 'is not in the time of the key that signed it: set the clock and sign it again');
  if (entitled.share !== undefined) settings.rate.take(entitled.share, restriction.effect === 'revoke');
  const { outcome, sequence } = await keep(restriction, settings.store);
  // The id is chosen by the author, so that a repetition is one.
  if (outcome === 'taken')
    throw new Problem('idempotency-key-reused', 'Another restriction has this id: choose a new one.', {
      errors: [{ field: 'restriction.id', detail: 'is that of another restriction' }],
    });
  const { id } = restriction;
  const headers = { location: `/v1/restrictions/${id}`, ...(outcome === 'repeated' && { 'idempotency-replayed': 'true' }) };
  return { status: 201, headers, body: { id, sequence } };
}

function readPosted(bytes: Uint8Array) {
  let body: unknown;
  try {
    body = parseStrictJson(bytes);
  } catch (error) {
    if (error instanceof JsonError)
      throw new Problem('malformed-request', `The body is ${error.message}.`, {
        errors: [{ field: 'body', detail: `is ${error.message}` }],
      });
    throw error;
  }
  const result = postedRestriction.safeParse(body);
  if (result.success) return result.data;
  throw new Problem('invalid-body', 'The body does not have the form that it must have.', { errors: fieldErrors(result.error) });
}

function parse(compact: string): UntrustedRestriction {
  try {
    return parseRestriction(compact);
  } catch (error) {
    if (error instanceof RestrictionError) throw invalid('restriction', error.message);
    throw error;
  }
}

/** What could have no effect on any chain is a mistake that its author wants to know of. */
function assertSensible({ untrustedClaims: claims }: UntrustedRestriction, settings: AcceptRestrictionSettings): void {
  const { target, by, at, effect, lifts = '' } = claims;
  if (at > settings.clock() / 1000 + CLOCK_SKEW_SECONDS) throw invalid('restriction.at', 'is in the future');
  const mayTarget = target.kind !== 'operator' || target.value === by || settings.administrators().includes(by);
  if (!mayTarget) throw invalid('restriction.target', 'an operator is restricted by itself or by an administrator');
  if (effect !== 'lift') return;
  const kept = read(() => settings.store.findById(lifts));
  const lifted = kept && reopenRestriction(kept.compact);
  if (lifted?.effect !== 'narrow' || lifted.target.kind !== target.kind || lifted.target.value !== target.value)
    throw invalid('restriction.lifts', 'must be the id of a narrowing of the same target; a revocation is for good');
  assertMayLift(by, lifted.by, settings);
}

async function keep(restriction: Restriction, store: RestrictionStore): Promise<Appended> {
  try {
    const [appended] = await store.append([restriction]);
    if (appended !== undefined) return appended;
  } catch (cause) {
    throw new Problem('unavailable', 'The store did not confirm the restriction: send the same again.', { cause });
  }
  throw new Problem('unavailable', 'The store did not confirm the restriction: send the same again.');
}

/** @throws {Problem} for a store that cannot be read */
export function read<T>(act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw new Problem('unavailable', 'The restrictions cannot be read now.', { cause });
  }
}
