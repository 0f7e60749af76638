// A new operator: its recovery seed, its signing key and the first entry of its log, all on disk before anyone is told of them.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { generatePrivateKey } from '../crypto/private-key.ts';
import type { Algorithm } from '../crypto/public-key.ts';
import { UnknownDid } from '../vault/did-document.ts';
import { locationOfDidWebvh } from '../vault/did-location.ts';
import { firstEntry } from '../vault/webvh/author-log.ts';
import { deriveUpdateKey } from '../vault/webvh/update-key.ts';
import { dateTime, operatorState } from './did-state.ts';
import { makeDirectory, moveDurably, readIfThere, writeDurably } from './durable-file.ts';
import { alone, assertName, findOperatorFile, type HomeFiles, type OperatorFile, writeJson } from './home.ts';
import { findKey, readSeed, writeKey, writeSeed } from './kept-keys.ts';
import { OperatorError } from './operator-error.ts';
import type { OperatorTools } from './operator-tools.ts';
import { textOf } from './own-log.ts';

export interface InitOptions {
  readonly name: string;
  /** `https://HOST[:PORT]` */
  readonly vault: string;
  /** File; absolute. */
  readonly vaultCa: string | undefined;
  readonly algorithm: Algorithm;
  /** Set the operator that is there aside. */
  readonly force: boolean;
}

const SEED_BYTES = 32;

/** @throws {OperatorError} */
export async function initOperator(options: InitOptions, tools: OperatorTools): Promise<OperatorFile> {
  const { files, clock, random } = tools;
  const { name, algorithm } = options;
  assertName(name);
  const vault = originOf(options.vault);
  const location = locationAt(vault, `operators:${name}`);
  return alone(files, async () => {
    const present = await findOperatorFile(files);
    if (present !== undefined && !options.force)
      throw new OperatorError(
        `${files.directory} holds the operator ${present.did} already: name another folder with --home, or set it aside with --force`,
      );
    if (options.force) await setAside(files, clock());
    // Without operator.json nothing has been published: keys of a run that was cut short serve as well as new ones.
    const seed = (await readIfThere(files.recoveryKey)) ? await readSeed(files.recoveryKey) : random(SEED_BYTES);
    await writeSeed(files.recoveryKey, seed);
    const left = (await findKey(files.signingKey))?.private;
    const key = left?.algorithm === algorithm ? left : generatePrivateKey(algorithm);
    await writeKey(files.signingKey, { publicKey: key.publicKey, private: key });
    const now = clock();
    const { did, line } = firstEntry({
      location,
      state: (made) => operatorState(made, key.publicKey),
      updateKey: deriveUpdateKey(seed, location, 1),
      nextUpdateKey: deriveUpdateKey(seed, location, 2).publicKey,
      now,
    });
    await writeDurably(files.log, textOf([line]));
    const { vaultCa } = options;
    const operator = { name, did, vault, ...(vaultCa !== undefined && { vaultCa }), createdAt: dateTime(now) };
    await writeJson(files.operator, operator);
    return operator;
  });
}

/** @throws {OperatorError} for anything but an https origin */
export function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.href !== `${url.origin}/`)
    throw new OperatorError(
      `"${text.slice(0, 200)}" is no vault: give its origin alone, https://vault.example or https://vault.example:8443`,
    );
  return url.origin;
}

/** What a DID in the vault says after its SCID. @throws {OperatorError} where no DID can be at that host */
export function locationAt(origin: string, path: string): string {
  const location = `${new URL(origin).host.replace(':', '%3A')}:${path}`;
  try {
    locationOfDidWebvh(`did:webvh:${'Q'.repeat(46)}:${location}`);
  } catch (error) {
    if (error instanceof UnknownDid) throw new OperatorError(`no DID can be at ${origin}: ${error.message}`);
    throw error;
  }
  return location;
}

/** Into a folder of the home: keys are never deleted. `operator.json` goes last, so that a run that is cut short can be repeated. */
export async function setAside(files: HomeFiles, now: number): Promise<void> {
  const kept = (await readdir(files.directory)).filter((name) => !/^(?:lock|replaced-)/.test(name));
  if (kept.length === 0) return;
  const aside = join(files.directory, `replaced-${dateTime(now).replaceAll(':', '')}`);
  await makeDirectory(aside);
  const last = 'operator.json';
  for (const name of kept.toSorted((a, b) => Number(a === last) - Number(b === last)))
    await moveDurably(join(files.directory, name), join(aside, name));
}
