// The order of checks (profile section 4); the first that fails answers.

import type { Checks } from './checks/checks.ts';
import { type Decision, type Permit, permit, refuse } from './decision.ts';
import type { InboundRequest } from './request.ts';

/** @throws whatever a check throws: "could not conclude", which the caller answers with 503. */
export async function decide(request: InboundRequest, checks: Checks): Promise<Decision> {
  const form = checks.form(request);
  if (form.denied) return refuse(form, {});
  const untrusted = { form: form.proof };

  const claimed = checks.signatureInput(form.proof);
  if (claimed.denied) return refuse(claimed, untrusted);

  const chain = await checks.chain(form.proof, claimed.proof);
  if (chain.denied) return refuse(chain, untrusted);

  const identity = await checks.identity(chain.proof);
  if (identity.denied) return refuse(identity, untrusted);

  const signature = await checks.signature(request, claimed.proof, chain.proof, identity.proof);
  if (signature.denied) return refuse(signature, untrusted);
  // From here on the request is the agent's, and its record may say so.
  const authentic = {
    ...untrusted,
    claimed: claimed.proof,
    chain: chain.proof,
    identity: identity.proof,
    signature: signature.proof,
  };

  const body = checks.digest(form.proof, signature.proof);
  if (body.denied) return refuse(body, authentic);

  const nonce = await checks.nonce(request, signature.proof, body.proof); // after the signature: strangers cannot burn nonces
  if (nonce.denied) return refuse(nonce, authentic);
  const fresh = { ...authentic, body: body.proof, nonce: nonce.proof };

  // From here on nothing is awaited: a revocation that is acknowledged meanwhile would go unseen.
  const restriction = checks.restriction(chain.proof, nonce.proof);
  if (restriction.denied) return refuse(restriction, fresh);
  const unrestricted = { ...fresh, restriction: restriction.proof };

  const attestation = checks.attestation(chain.proof, signature.proof, restriction.proof);
  if (attestation.denied) return refuse(attestation, unrestricted);

  const access = checks.capability(request, chain.proof, body.proof, restriction.proof);
  if (access.denied) return refuse(access, { ...unrestricted, attestation: attestation.proof });

  const budget = checks.budget(chain.proof, restriction.proof);
  if (budget.denied) return refuse(budget, { ...unrestricted, attestation: attestation.proof, access: access.proof });

  return permit({ ...unrestricted, attestation: attestation.proof, access: access.proof, budget: budget.proof });
}

/**
 * What becomes of a permit by what came into force while its record was written, so that no allow leaves after a revocation is
 * acknowledged. Nothing may be awaited between this and the answer. @throws as {@link decide}
 */
export function reconsider(permitted: Permit, request: InboundRequest, checks: Checks): Decision {
  const { clearance } = permitted;
  const restriction = checks.restriction(clearance.chain, clearance.nonce);
  if (restriction.denied) return refuse(restriction, clearance);
  if (restriction.proof.narrowed === clearance.restriction.narrowed) return permitted;
  const access = checks.capability(request, clearance.chain, clearance.body, restriction.proof);
  return access.denied ? refuse(access, clearance) : permitted;
}
