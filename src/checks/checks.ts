// The checks as one object that `decide` calls in order, wired to what each needs.

import type { TrustedOperators } from '../trust/operators.ts';
import type { DidResolver } from '../vault/resolver.ts';
import { checkAttestation } from './attestation/check-attestation.ts';
import { checkBudget } from './budget/check-budget.ts';
import { checkCapability } from './capability/check-capability.ts';
import type { ProviderRoutes } from './capability/provider-routes.ts';
import { type ChainConfiguration, makeChainCheck } from './chain/check-chain.ts';
import { checkDigest } from './digest/check-digest.ts';
import { checkForm } from './form/check-form.ts';
import { makeIdentityCheck } from './identity/check-identity.ts';
import { checkNonce, type NonceStore } from './nonce/check-nonce.ts';
import { checkRestriction, type RestrictionsInForce } from './restriction/check-restriction.ts';
import { checkSignature } from './signature/check-signature.ts';
import { checkSignatureInput, type SignatureConfiguration } from './signature/signature-input.ts';

export interface CheckSettings {
  readonly gatewayNames: readonly string[];
  readonly operators: TrustedOperators;
  readonly resolver: DidResolver;
  readonly routes: ProviderRoutes;
  readonly signature: SignatureConfiguration;
  readonly chain: ChainConfiguration;
  readonly nonces: NonceStore;
  readonly restrictions: RestrictionsInForce;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly newDecisionId: () => string;
}

export type Checks = ReturnType<typeof makeChecks>;

export function makeChecks(settings: CheckSettings) {
  const { signature, clock } = settings;
  const { clockSkewSeconds } = signature;
  const chain = makeChainCheck({ ...settings, clockSkewSeconds, configuration: settings.chain });
  const identity = makeIdentityCheck(settings.resolver);
  const nonce = { store: settings.nonces, clockSkewSeconds, newDecisionId: settings.newDecisionId };
  return {
    form: checkForm,
    signatureInput: (form: Parameters<typeof checkSignatureInput>[0]) => checkSignatureInput(form, signature, clock()),
    chain: (form: Parameters<typeof chain>[0], claimed: Parameters<typeof chain>[1]) => chain(form, claimed, clock()),
    identity: (verified: Parameters<typeof identity>[0]) => identity(verified, clock()),
    signature: checkSignature,
    digest: checkDigest,
    nonce: (...proofs: NonceProofs) => checkNonce(...proofs, nonce),
    restriction: (...proofs: RestrictionProofs) => checkRestriction(...proofs, settings.restrictions),
    attestation: checkAttestation,
    capability: (...proofs: CapabilityProofs) => checkCapability(...proofs, settings.routes),
    budget: checkBudget,
  };
}

type NonceProofs = [Parameters<typeof checkNonce>[0], Parameters<typeof checkNonce>[1], Parameters<typeof checkNonce>[2]];
type RestrictionProofs = [Parameters<typeof checkRestriction>[0], Parameters<typeof checkRestriction>[1]];
type CapabilityProofs = [
  Parameters<typeof checkCapability>[0],
  Parameters<typeof checkCapability>[1],
  Parameters<typeof checkCapability>[2],
  Parameters<typeof checkCapability>[3],
];
