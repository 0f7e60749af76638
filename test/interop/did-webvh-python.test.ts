// The Python implementation (did-webvh of the Decentralized Identity Foundation) verifies what our operator writes, and reads the
// same document in it. It is looked for with the interpreter that DID_WEBVH_PYTHON names, or python3; where it is not installed
// (pip install did-webvh), these tests are skipped and say so.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { firstEntry, nextEntry } from '../../src/vault/webvh/author-log.ts';
import { LogVerifier } from '../../src/vault/webvh/log-verifier.ts';
import { deriveUpdateKey } from '../../src/vault/webvh/update-key.ts';
import { keyOf } from '../keys.ts';
import { folderOf, SAMPLES } from '../vault/webvh/samples.ts';

const PYTHON = process.env.DID_WEBVH_PYTHON ?? 'python3';

const RESOLVE = `
import asyncio, json, sys
from pathlib import Path
from did_webvh.resolver import resolve_did
result = asyncio.run(resolve_did(sys.argv[1], local_history=Path(sys.argv[2]), add_implicit=False))
print(json.dumps(result.serialize()))
`;

interface Resolution {
  readonly didDocument: Record<string, unknown> | null;
  readonly didDocumentMetadata: { readonly versionId: string; readonly deactivated: boolean } | null;
  readonly didResolutionMetadata: unknown;
}

function resolve(did: string, folder: string): Resolution {
  return JSON.parse(execFileSync(PYTHON, ['-c', RESOLVE, did, folder], { encoding: 'utf8', timeout: 30_000 })) as Resolution;
}

function isInstalled(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import did_webvh.resolver'], { stdio: 'ignore', timeout: 30_000 });
    return true;
  } catch {
    return false;
  }
}

if (!isInstalled()) {
  // An interpreter that was named must have it.
  if (process.env.DID_WEBVH_PYTHON !== undefined) throw new Error(`${PYTHON} (DID_WEBVH_PYTHON) cannot import did_webvh`);
  test.skip('did-webvh in Python: skipped, since python3 cannot import did_webvh', () => {});
} else {
  const folder = mkdtempSync(join(tmpdir(), 'did-webvh-'));
  const verifier = LogVerifier.start();
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await verifier.close();
  });

  describe('did-webvh in Python', () => {
    test.each(SAMPLES)('verifies the log $name', (sample) => {
      const { didDocument, didDocumentMetadata, didResolutionMetadata } = resolve(sample.did, folderOf(sample));
      expect(didResolutionMetadata).toBeNull();
      expect(didDocument?.id).toBe(sample.did);
      expect(didDocumentMetadata).toMatchObject({ versionId: sample.versionId, deactivated: sample.deactivated });
    });

    test('verifies a log at each of its versions, and reads our document', async () => {
      const seed = Buffer.alloc(32, 9);
      const location = 'vault.example:agents:acme:writer';
      const keys = (version: number) => ({
        updateKey: deriveUpdateKey(seed, location, version),
        nextUpdateKey: deriveUpdateKey(seed, location, version + 1).publicKey,
      });
      // What canonical JSON is particular about: the order of names, escapes, numbers, characters beyond the first plane. Of numbers
      // only those that its Python package spells as RFC 8785 does: it has 1e-07 for 1e-7, and long integers in another form.
      const odd = { '€': 'é\u0007"\\/', z: [1e21, -0, 0.1, 1e3], a: '😀', '😀': null, '｡': 1, aa: { b: true, a: false } };
      const stateOf = (did: string, version: number) => ({
        id: did,
        controller: [did],
        verificationMethod: [
          { id: `${did}#key-1`, type: 'JsonWebKey', controller: did, publicKeyJwk: keyOf('agent').publicKey.jwk },
        ],
        capabilityInvocation: [`${did}#key-1`],
        odd,
        version,
      });
      const now = Date.now() - 60_000;
      const { did, line } = firstEntry({ location, state: (made) => stateOf(made, 1), ...keys(1), now, ttl: 300 });
      const lines = [line];
      for (let version = 2; ; version++) {
        const log = await verifier.verify({ did, log: lines.join('\n'), witness: undefined, now: Date.now() });
        writeFileSync(join(folder, 'did.jsonl'), `${lines.join('\n')}\n`);
        const { didDocument, didDocumentMetadata, didResolutionMetadata } = resolve(did, folder);
        expect(didResolutionMetadata).toBeNull();
        expect(didDocument).toEqual(log.state);
        expect(didDocumentMetadata).toMatchObject({ versionId: log.versionId, deactivated: log.deactivated });
        if (log.deactivated) break;
        const deactivate = version === 4;
        lines.push(nextEntry({ log, state: stateOf(did, version), ...keys(version), now: now + version, deactivate }).line);
      }
      expect(lines).toHaveLength(4);
    });

    test('refuses what we refuse: a log that somebody changed', () => {
      const [sample] = SAMPLES;
      if (sample === undefined) throw new Error('no sample');
      const other = sample.did.replace('acme', 'evil');
      expect(resolve(other, folderOf(sample)).didResolutionMetadata).toMatchObject({ error: 'invalidDid' });
    });
  });
}
