// The logs in samples/, with what a verifier must find in them.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Sample {
  readonly name: string;
  readonly did: string;
  readonly versionId: string;
  readonly deactivated: boolean;
}

export const SAMPLES: readonly Sample[] = [
  {
    name: 'registered',
    did: 'did:webvh:QmfJkHg95gQdGDCwGPaS3NXjbEUYKWj9fkA5ef3fi3ciW1:vault.example%3A8443:agents:acme:one',
    versionId: '1-QmSoLdRNrtXWP2EtoE6LiqpHXTzunZ6V9TpQKV8HpCD7ZZ',
    deactivated: false,
  },
  {
    name: 'rotated',
    did: 'did:webvh:QmT7ruwUB3Et3hHCu6k7L2eeNhTGeKkc2NXNTEYVMyhtz1:vault.example%3A8443:agents:acme:two',
    versionId: '3-QmTw7WMqGcepLf2VDeRVX92fqYvXGLZKXGE5FeYBRDev9L',
    deactivated: false,
  },
  {
    name: 'deactivated',
    did: 'did:webvh:QmeJDNH7rBYteEEJAFTwUe27Gd4CtMbiFYTiVWUJH42N9w:vault.example%3A8443:agents:acme:three',
    versionId: '2-Qma18HYZF9s7438Yz15dBG6L3LkKMVwaqQfsXCVmbLymat',
    deactivated: true,
  },
  {
    name: 'witnessed',
    did: 'did:webvh:QmeZgRfz4rUayWzT6ZTtCNdCiDAbXdQDUwx3xZM6ApM129:vault.example%3A8443:agents:acme:four',
    versionId: '2-QmZrbGjv6RdrnKu187HVj7BHDJdLEtPsquJEZ96StwueM7',
    deactivated: false,
  },
  {
    name: 'moved',
    did: 'did:webvh:QmR9TweGeTYN88NacQU8rWLh7p9ppVPt5Dfw2yWritK8cV:other.example:agents:acme:five',
    versionId: '2-QmdF95a49m31GzUuG49E1Ew5SzsmZ64RGJrwe4zvrdw3Jr',
    deactivated: false,
  },
];

export function folderOf({ name }: Pick<Sample, 'name'>): string {
  return fileURLToPath(new URL(`samples/${name}/`, import.meta.url));
}

export function readSample(sample: Pick<Sample, 'name'>): { readonly log: string; readonly witness: string | undefined } {
  const folder = folderOf(sample);
  const witness = `${folder}did-witness.json`;
  return {
    log: readFileSync(`${folder}did.jsonl`, 'utf8'),
    witness: existsSync(witness) ? readFileSync(witness, 'utf8') : undefined,
  };
}
