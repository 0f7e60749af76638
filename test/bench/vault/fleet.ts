// The agents of the bench, any number of them, all from one seed: no key and no log has to be kept to make its requests later.

import { createPrivateKey, createPublicKey, hash, type KeyObject } from 'node:crypto';
import sodium from 'sodium-native';
import type { PrivateKey } from '../../../src/crypto/private-key.ts';
import type { PublicKey } from '../../../src/crypto/public-key.ts';
import { jwkThumbprint } from '../../../src/crypto/thumbprint.ts';
import { agentState, operatorState } from '../../../src/operator/did-state.ts';
import { firstEntry } from '../../../src/vault/webvh/author-log.ts';
import type { AuthoredEntry } from '../../../src/vault/webvh/sign-entry.ts';

export interface FleetSettings {
  /** 32 bytes. */
  readonly seed: Uint8Array;
  /** Of the vault, `https://HOST`. */
  readonly origin: string;
  /** Milliseconds since the epoch; of every first entry. */
  readonly createdAt: number;
}

/** A first entry, and what its registration needs to say beside it. */
export interface Authored extends AuthoredEntry {
  /** Of the log below the vault's origin. */
  readonly path: string;
  readonly thumbprint: string;
}

export interface Fleet {
  readonly operator: Authored & { readonly key: PrivateKey; readonly keyId: string };
  /** The agent's own key. */
  agentKey(number: number): PrivateKey;
  agent(number: number): Authored;
}

const OPERATOR = 'bench';
const keypairs = sodium as unknown as {
  crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void;
};

export function makeFleet({ seed, origin, createdAt }: FleetSettings): Fleet {
  const host = new URL(origin).host;
  const key = keyFrom(seed, 'operator key');
  const author = (place: string, thumbprint: string, state: (did: string) => object): Authored => {
    const location = `${host}:${place}`;
    const updateKey = keyFrom(seed, `update key\n${location}\n1`);
    const nextUpdateKey = keyFrom(seed, `update key\n${location}\n2`).publicKey;
    const entry = firstEntry({ location, state, updateKey, nextUpdateKey, now: createdAt });
    return { ...entry, path: `/${place.replaceAll(':', '/')}/did.jsonl`, thumbprint };
  };
  const own = author(`operators:${OPERATOR}`, key.publicKey.jkt, (did) => operatorState(did, key.publicKey));
  const agentKey = (number: number) => keyFrom(seed, `agent key\n${number}`);
  return {
    operator: { ...own, key, keyId: `${own.did}#key-1` },
    agentKey,
    agent: (number) => {
      const { publicKey } = agentKey(number);
      return author(`agents:${OPERATOR}:a${number}`, publicKey.jkt, (did) => agentState(did, own.did, publicKey));
    },
  };
}

/**
 * As `readPrivateKey` would make it, without looking for keys that are not valid, since one made from a seed is valid, and without
 * OpenSSL's objects until they are asked for: both take longer than all else that an agent takes here.
 */
function keyFrom(seed: Uint8Array, name: string): PrivateKey {
  const secret = hash('sha256', Buffer.concat([seed, Buffer.from(`hermesbridge bench\n${name}`)]), 'buffer');
  const raw = Buffer.alloc(32);
  keypairs.crypto_sign_seed_keypair(raw, Buffer.alloc(64), secret);
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') };
  const publicKey = {
    ...{ jkt: jwkThumbprint(jwk), algorithms: ['Ed25519'], jwk, raw },
    get keyObject() {
      return createPublicKey({ key: jwk, format: 'jwk' });
    },
  } as unknown as PublicKey;
  const d = secret.toString('base64url');
  let keyObject: KeyObject | undefined;
  return {
    ...{ algorithm: 'Ed25519', publicKey },
    get keyObject() {
      keyObject ??= createPrivateKey({ key: { ...jwk, d }, format: 'jwk' });
      return keyObject;
    },
  };
}
