// Read by the compiler alone (`npm run types`): each line below an expected error must not compile, and the compiler says so
// when it does. A wrong order, a forgotten check, an ignored outcome and a forged proof are errors of types, not of care.

import type { VerifiedChain } from '../src/checks/chain/check-chain.ts';
import type { Checks } from '../src/checks/checks.ts';
import type { KnownIdentity } from '../src/checks/identity/check-identity.ts';
import type { VerifiedSignature } from '../src/checks/signature/check-signature.ts';
import { type Clearance, type Decision, permit } from '../src/decision.ts';
import { passed } from '../src/outcome.ts';
import type { InboundRequest } from '../src/request.ts';

export async function wrongOrder(request: InboundRequest, checks: Checks, clearance: Clearance): Promise<void> {
  const { form, claimed, chain, identity, signature, body, restriction } = clearance;
  // @ts-expect-error the chain needs a claimed signature
  await checks.chain(form);
  // @ts-expect-error the signature needs a known identity, and so a verified chain
  await checks.signature(request, claimed, chain);
  // @ts-expect-error a claimed signature is no verified one
  checks.digest(form, claimed);
  // @ts-expect-error the nonce is consumed only after the digest
  await checks.nonce(request, signature);
  // @ts-expect-error the nonce is consumed only after the signature
  await checks.nonce(request, claimed, body);
  // @ts-expect-error restrictions are looked at only once the nonce is taken
  checks.restriction(chain);
  // @ts-expect-error a capability is held against a verified body
  checks.capability(request, chain, request.body, restriction);
  // @ts-expect-error and under the narrowings in force
  checks.capability(request, chain, body);
  // @ts-expect-error proofs of two checks are not one another's
  await checks.signature(request, claimed, identity, chain);
  // @ts-expect-error what is only well formed is no chain
  checks.identity(form);
}

export function forgottenCheck(clearance: Clearance): Decision[] {
  const { nonce: _nonce, ...withoutNonce } = clearance;
  const { budget: _budget, ...withoutBudget } = clearance;
  const { restriction: _restriction, ...withoutRestriction } = clearance;
  return [
    // @ts-expect-error no proof that the nonce is new
    permit(withoutNonce),
    // @ts-expect-error no proof that the budget covers
    permit(withoutBudget),
    // @ts-expect-error no proof that nothing is revoked
    permit(withoutRestriction),
    // @ts-expect-error nothing at all
    permit({}),
    // @ts-expect-error an allow is not an allow without its clearance
    { effect: 'allow' },
  ];
}

export function ignoredOutcome(checks: Checks, clearance: Clearance, chain: VerifiedChain): Decision[] {
  const outcome = checks.identity(chain);
  return [
    // @ts-expect-error an outcome may be a denial
    permit({ ...clearance, identity: outcome }),
    // @ts-expect-error a denial has no proof
    permit({ ...clearance, identity: outcome.proof }),
  ];
}

/** That no other file asserts the type of a proof is held by layout.test.ts, since an assertion does compile. */
export function forgedProof(): unknown[] {
  // @ts-expect-error the brand of a proof cannot be written down outside its own file
  const identity: KnownIdentity = { agent: 'did:key:z6Mk', operator: 'did:key:z6Mk' };
  // @ts-expect-error nor can an outcome with one
  const signature: { proof: VerifiedSignature } = passed({ jkt: '', nonce: '', expires: 0, signature: '' });
  return [identity, signature];
}
