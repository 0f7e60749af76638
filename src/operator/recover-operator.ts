// An operator whose signing key is lost, or the whole home with it: the recovery key signs an entry with a new signing key, since each
// entry has committed to the update key of the next, and those follow from the recovery key alone.

import type { Algorithm } from '../crypto/public-key.ts';
import { UnknownDid } from '../vault/did-document.ts';
import { locationOfDidWebvh } from '../vault/did-location.ts';
import { placeOf } from '../vault/vault-place.ts';
import { dateTime, dropExpired, expireKeys, findHolding, nextKeyNumber, withKey, withoutKeys } from './did-state.ts';
import { makeDirectory, removeDurably } from './durable-file.ts';
import { alone, findAgentFile, findOperatorFile, NAME, type OperatorFile, writeJson } from './home.ts';
import { setAside } from './init-operator.ts';
import { readSeed, writeKey, writeSeed } from './kept-keys.ts';
import { authorOf, lastState } from './open-operator.ts';
import { OperatorError } from './operator-error.ts';
import type { OperatorTools } from './operator-tools.ts';
import { addVersion, openLog, statesOf } from './own-log.ts';
import { type OperatorRotation, pendingKey, summary } from './rotate-operator.ts';
import type { VaultClient } from './vault-client.ts';

export interface RecoverOptions {
  readonly did: string;
  /** Backup of `recovery.key`. */
  readonly recoveryKey: string;
  readonly algorithm: Algorithm;
  /** How long the lost key still holds; 0 for one that may be in the wrong hands. */
  readonly overlapSeconds: number;
  readonly vaultCa: string | undefined;
  /** Set another operator that is there aside. */
  readonly force: boolean;
}

export type Recovery = Omit<OperatorRotation, 'reissued' | 'left'> & {
  /** Names of the agents that the vault has of the operator. */
  readonly agents: readonly string[];
};

/** @throws {OperatorError} */
export async function recoverOperator(options: RecoverOptions, tools: OperatorTools): Promise<Recovery> {
  const { did } = options;
  const { origin, name } = operatorPlace(did);
  const { files, clock } = tools;
  const seed = await readSeed(options.recoveryKey);
  const vault = await tools.vaultAt(origin, options.vaultCa);
  return alone(files, async () => {
    const present = await findOperatorFile(files);
    if (present !== undefined && present.did !== did) {
      if (!options.force)
        throw new OperatorError(
          `${files.directory} holds another operator, ${present.did}: name another folder with --home, or set it aside with --force`,
        );
      await setAside(files, clock());
    }
    let log = await openLog({ kind: 'operator', did, file: files.log }, vault, tools);
    if (log.log.deactivated) throw new OperatorError(`${did} is deactivated for good: make another operator`);
    await writeSeed(files.recoveryKey, seed);
    const pending = await pendingKey(files.pendingKey, options.algorithm);
    if (findHolding(lastState(log), pending.publicKey, clock()) === undefined) {
      const now = clock();
      const old = lastState(log);
      const { overlapSeconds } = options;
      const kept = overlapSeconds === 0 ? withoutKeys(old) : dropExpired(expireKeys(old, now + overlapSeconds * 1000), now);
      const number = nextKeyNumber(statesOf(log));
      const state = withKey(kept, pending.publicKey, { number, purposes: ['assertionMethod', 'capabilityInvocation'] });
      // No key of the document before is at hand: what may write is the key of the entry itself, which the recovery key signed.
      const author = authorOf(state, pending, now);
      if (author === undefined)
        throw new OperatorError(`${files.pendingKey} holds no private key: move it away and run this again`);
      log = await addVersion(log, { state }, { seed, author, vault, tools });
    }
    const created = dateTime(log.log.created);
    const { vaultCa } = options;
    const operator: OperatorFile = { name, did, vault: origin, ...(vaultCa !== undefined && { vaultCa }), createdAt: created };
    await writeKey(files.signingKey, pending);
    await writeJson(files.operator, operator);
    await removeDurably(files.pendingKey);
    return { ...summary(log, pending, clock()), agents: await rebuildAgents(did, vault, tools) };
  });
}

/** What is known of an agent without its keys and its grant: enough to rotate and to deactivate it. */
async function rebuildAgents(operator: string, vault: VaultClient, { files }: OperatorTools): Promise<string[]> {
  const names: string[] = [];
  for await (const { did, created, deactivated } of vault.agentsOf(operator)) {
    const name = did.split(':').at(-1) ?? '';
    if (deactivated || !NAME.test(name)) continue;
    names.push(name);
    const agent = files.agent(name);
    if ((await findAgentFile(agent)) !== undefined) continue;
    await makeDirectory(agent.directory);
    const { directory } = agent;
    const createdAt = dateTime(Date.parse(created));
    await writeJson(agent.agent, { name, did, createdAt, directory, holdsKey: false, registered: true });
  }
  return names;
}

function operatorPlace(did: string): { origin: string; name: string } {
  try {
    const { origin } = locationOfDidWebvh(did);
    const place = placeOf(did, origin);
    if (place?.kind === 'operator') return { origin, name: place.name };
  } catch (error) {
    if (!(error instanceof UnknownDid)) throw error;
    throw new OperatorError(`--did: ${error.message}`);
  }
  throw new OperatorError('--did is no DID of an operator: it ends in :operators:NAME');
}
