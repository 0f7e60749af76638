// The file of a gateway that has seen all agents before, without the hour that verifying all of them would take: the rows are those
// that verifying would write, and a sample of them is held against it (resolve-times.ts).

import { hash } from 'node:crypto';
import { SqliteSeenLogs } from '../../../src/stores/sqlite/seen-logs/seen-logs.ts';
import { VaultReader } from '../../../src/stores/sqlite/vault/vault-reader.ts';
import { locationOfDidWebvh } from '../../../src/vault/did-location.ts';
import { startProgress } from './progress.ts';

const AT_A_TIME = 10_000;

export async function fillSeenLogs(file: string, vaultFile: string, agents: number): Promise<void> {
  const vault = new VaultReader(vaultFile);
  const seen = await SqliteSeenLogs.open(file);
  const progress = startProgress('filling what a gateway has seen', agents);
  try {
    let done = 0;
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = vault.list('agent', undefined, cursor, AT_A_TIME);
      await Promise.all(
        page.items.map(({ did, versionId }) => {
          const digest = hash('sha256', `${vault.readLog(did)?.log ?? ''}\0`, 'base64url');
          return seen.remember(locationOfDidWebvh(did).scid, { versionId, digest, deactivated: false, ttl: undefined });
        }),
      );
      cursor = page.next;
      done += page.items.length;
      progress(done);
    }
  } finally {
    vault.close();
    await seen.close();
  }
}
