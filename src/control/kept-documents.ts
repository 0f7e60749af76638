// Documents of what is registered, read from the newest lines of their logs. They were verified before they were kept, so they
// are only read again here, and a version once read is remembered: its content cannot change.

import type { DidDocument } from '../vault/did-document.ts';
import { readPostedEntry } from '../vault/posted-entry.ts';
import { readDidDocument } from '../vault/read-did-document.ts';
import type { Registered, VaultStore } from '../vault/registry.ts';

export interface KeptVersion {
  readonly versionId: string;
  /** Milliseconds since the epoch. */
  readonly versionTime: number;
  readonly line: string;
}

const MOST_REMEMBERED = 2000;

export class KeptDocuments {
  readonly #store: Pick<VaultStore, 'readLog'>;
  readonly #remembered = new Map<string, DidDocument>();

  constructor(store: Pick<VaultStore, 'readLog'>) {
    this.#store = store;
  }

  /** Without keys where the DID is deactivated. */
  read({ did, versionId, deactivated }: Registered): DidDocument {
    if (deactivated) return { did, controller: [], verificationMethods: [], versionId };
    const name = `${did} ${versionId}`;
    const known = this.#remembered.get(name);
    if (known !== undefined) return known;
    const document = documentOf(did, this.versions(did).at(-1));
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size < MOST_REMEMBERED) break;
      this.#remembered.delete(oldest);
    }
    this.#remembered.set(name, document);
    return document;
  }

  /** Milliseconds since the epoch of the first version with a key, by the thumbprint of each key of the document. */
  firstSeen({ did, verificationMethods }: DidDocument): ReadonlyMap<string, number> {
    const versions = this.versions(did);
    const firstSeen = new Map<string, number>();
    const [only] = versions;
    if (versions.length === 1 && only !== undefined)
      return new Map(verificationMethods.map(({ key }) => [key.jkt, only.versionTime]));
    for (const version of versions) {
      for (const { key } of documentOf(did, version).verificationMethods) {
        if (!firstSeen.has(key.jkt)) firstSeen.set(key.jkt, version.versionTime);
      }
    }
    return firstSeen;
  }

  /** First to last; empty for a DID that is not registered. */
  versions(did: string): KeptVersion[] {
    return (this.#store.readLog(did)?.log ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const { versionId, versionTime } = JSON.parse(line) as { versionId: string; versionTime: string };
        return { versionId, versionTime: Date.parse(versionTime), line };
      });
  }
}

function documentOf(did: string, version: KeptVersion | undefined): DidDocument {
  const entry = readPostedEntry(version?.line ?? '');
  if ('field' in entry) throw new Error(`a kept entry cannot be read: ${entry.field} ${entry.detail}`);
  return readDidDocument(did, entry.untrustedState, version?.versionId);
}
