// `restrictions`: what is restricted, by whom, and whether that is what they signed.

import type { DatabaseSync } from 'node:sqlite';
import type { Command } from 'commander';
import { nextHead } from '../restrictions/feed-head.ts';
import { parseRestriction, RestrictionError } from '../restrictions/restriction.ts';
import { makeSignerKeys } from '../restrictions/signer-keys.ts';
import { reopenRestriction, type SignerKeys, verifyRestriction } from '../restrictions/verify-restriction.ts';
import { lockStore } from '../stores/sqlite/database.ts';
import { findUnequal } from '../stores/sqlite/restrictions/compare-restrictions.ts';
import {
  findDamage,
  openRestrictions,
  openRestrictionsForReading,
  renewEpoch,
} from '../stores/sqlite/restrictions/restriction-database.ts';
import { UnknownDid } from '../vault/did-document.ts';
import { keyHistory } from '../vault/key-history.ts';
import { selfDescribingResolver } from '../vault/resolver.ts';
import { LogVerifier } from '../vault/webvh/log-verifier.ts';
import { addHomeOptions } from './home-options.ts';
import { collect, EXIT, type OutputOptions, print, readNamedFile } from './output.ts';
import { addPlaceOptions, openPlace, type PlaceOptions, restrictionFile } from './restriction-place.ts';

export function addRestrictionsCommands(program: Command): void {
  const restrictions = program
    .command('restrictions')
    .summary('show and verify what was revoked and narrowed')
    .description('What was revoked, narrowed and lifted: in a vault, or in the store of a gateway.')
    .addHelpText('after', '\nExample:\n  hermesbridge restrictions list');
  addHomeOptions(addPlaceOptions(restrictions.command('list')))
    .summary('list restrictions, oldest first')
    .description(
      'Lists restrictions as a vault or a store has them, oldest first. Their signatures are not looked at: see `restrictions verify`.',
    )
    .addHelpText('after', '\nExample:\n  hermesbridge restrictions list --vault https://vault.example')
    .action(list);
  restrictions
    .command('verify')
    .summary('verify every restriction in a store')
    .description(
      'Checks the file, that no number is missing, that each restriction is in force as it says, and each signature. Offline: the keys of did:webvh authors are read from their logs. Exits with 1 when anything does not hold or could not be checked.',
    )
    .requiredOption('--store <file>', 'the store of a gateway or vault (verify.store.file, control.store.file)')
    .option('--log <file>', "did.jsonl of an author; may be repeated (a vault serves it at the DID's location)", collect)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  hermesbridge restrictions verify --store run/vault.db --log acme.jsonl')
    .action(verify);
  restrictions
    .command('restored')
    .summary('say that a store was put back from a backup')
    .description(
      'Gateways refuse a feed that was taken back. This gives the store a new epoch: they read all of it again, and keep what they know beyond it. Stop the vault before.',
    )
    .requiredOption('--store <file>', 'the store of the vault (control.store.file)')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  hermesbridge restrictions restored --store run/vault.db')
    .action(restored);
}

async function list(options: PlaceOptions): Promise<void> {
  const place = await openPlace(options);
  try {
    const all = [];
    for await (const { sequence, compact } of place.list()) all.push({ sequence, ...reopenRestriction(compact) });
    const shown = all.map(({ sequence, target, compact, ...rest }) => ({
      sequence,
      ...rest,
      target: { [target.kind]: target.value },
      restriction: compact,
    }));
    const lines = all.map(({ sequence, id, effect, target, before, lifts, by, at, reason }) =>
      [
        sequence,
        new Date(at * 1000).toISOString().replace('.000', ''),
        effect,
        `${target.kind} ${target.value}`,
        ...(before === undefined ? [] : [`rooted before ${new Date(before * 1000).toISOString().replace('.000', '')}`]),
        ...(lifts === undefined ? [] : [`lifts ${lifts}`]),
        `by ${by}`,
        id,
        ...(reason === '' ? [] : [JSON.stringify(reason)]),
      ].join('  '),
    );
    print(options, shown, lines.length === 0 ? 'nothing is restricted' : lines.join('\n'));
  } finally {
    await place.close();
  }
}

async function verify({ store, log = [], ...output }: OutputOptions & { store: string; log?: string[] }): Promise<void> {
  const database = openRestrictionsForReading(restrictionFile(store));
  const problems: string[] = [];
  let count = 0;
  try {
    const damage = findDamage(database);
    if (damage !== undefined) problems.push(`the file is damaged: ${damage}`);
    const keys = await offlineKeys(log);
    let head = '';
    for (const row of database.prepare('SELECT sequence, id, jws, head FROM restrictions ORDER BY sequence').iterate()) {
      count++;
      const compact = String(row.jws);
      head = nextHead(head, compact);
      if (row.sequence !== count) problems.push(`number ${count} is missing: the next is ${row.sequence}`);
      if (row.head !== head) problems.push(`number ${row.sequence} is not what was added then, or something before it is not`);
      const wrong = await findWrong(compact, String(row.id), keys);
      if (wrong !== undefined) problems.push(`number ${row.sequence}: ${wrong}`);
      if (problems.length > 100) break;
    }
    problems.push(...findUnequal(database));
  } finally {
    database.close();
  }
  const verdict =
    problems.length === 0 ? `${count} restrictions hold` : `${problems.join('\n')}\nof ${count} restrictions not all hold`;
  print(output, { count, valid: problems.length === 0, problems }, verdict);
  if (problems.length > 0) process.exitCode = EXIT.no;
}

async function findWrong(compact: string, id: string, keys: SignerKeys): Promise<string | undefined> {
  try {
    const untrusted = parseRestriction(compact);
    const { by, at, id: said } = untrusted.untrustedClaims;
    if (said !== id) return 'it is kept under another id';
    if ((await verifyRestriction(untrusted, keys, at * 1000)) !== undefined) return undefined;
    return `it does not verify under a key of ${by}${by.startsWith('did:webvh:') ? ' (is its log named with --log?)' : ''}`;
  } catch (error) {
    if (error instanceof RestrictionError) return error.message;
    throw error;
  }
}

/** Keys of authors from nothing but their DIDs and the logs that are named. */
async function offlineKeys(files: readonly string[]): Promise<SignerKeys> {
  const verifier = LogVerifier.start({ timeLimitMillis: 30_000 });
  const logs = new Map<string, string>();
  for (const file of files) {
    const text = (await readNamedFile(file)).toString('utf8');
    const last = JSON.parse(text.trimEnd().split('\n').at(-1) ?? '') as { state?: { id?: unknown } };
    const did = String(last.state?.id);
    await verifier.verify({ did, log: text, witness: undefined, now: Date.now() });
    logs.set(did, text);
  }
  await verifier.close();
  const itself = selfDescribingResolver();
  const noDocument = (did: string) => ({ did, controller: undefined, verificationMethods: [], versionId: undefined });
  const current = (did: string) => {
    if (logs.has(did)) return noDocument(did);
    return did.startsWith('did:webvh:') || did.startsWith('did:web:')
      ? Promise.reject(new UnknownDid('offline'))
      : itself.current(did);
  };
  return makeSignerKeys({
    resolver: { current, newer: (document) => document },
    formerKeys: async ({ did }) => keyHistory(did, logs.get(did) ?? ''),
    clockSkewMillis: 30_000,
  });
}

function restored({ store, ...output }: OutputOptions & { store: string }): void {
  // A vault that runs would go on with the epoch that it read at its start.
  const lock = lockStore(store);
  let database: DatabaseSync | undefined;
  try {
    database = openRestrictions(restrictionFile(store));
    const epoch = renewEpoch(database);
    print(output, { epoch }, `the store has the epoch ${epoch}: gateways read all of it again`);
  } finally {
    database?.close();
    lock.close();
  }
}
