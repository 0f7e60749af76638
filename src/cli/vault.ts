// `vault`: a vault's store backed up, restored and verified, on the machine that it is on.

import type { Command } from 'commander';
import { backUpVault } from '../stores/sqlite/vault/back-up-vault.ts';
import type { Progress } from '../stores/sqlite/vault/integrity.ts';
import { restoreVault } from '../stores/sqlite/vault/restore-vault.ts';
import { type BadDid, verifyVault } from '../stores/sqlite/vault/verify-vault.ts';
import { EXIT, type OutputOptions, print } from './output.ts';

export function addVaultCommands(program: Command): void {
  const vault = program
    .command('vault')
    .summary("back up, restore and verify a vault's store")
    .description(DESCRIPTION)
    .addHelpText('after', '\nExample:\n  hermesbridge vault backup --store run/vault.db --out backups/vault.db');
  vault
    .command('backup')
    .summary('copy the store into one file, while its service runs')
    .description(
      'Copies the store as it is at one moment, without holding up the service, and checks every row of the copy before it gets its name.',
    )
    .requiredOption('--store <file>', "the vault's store (control.store.file)")
    .requiredOption('--out <file>', 'where to write the copy')
    .option('--force', 'replace what is there')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExample:\n  hermesbridge vault backup --store run/vault.db --out backups/vault-2026-08-01.db\n\n' +
        'A plain copy of the store of a running service is not whole, and is refused.',
    )
    .action(backup);
  vault
    .command('restore')
    .summary('put a backup in the place of the store')
    .description(
      'Checks every row of the backup, then makes it the store. The service must be stopped. Whoever follows the changes of the vault starts anew.',
    )
    .requiredOption('--from <file>', 'the backup')
    .requiredOption('--store <file>', "the vault's store (control.store.file)")
    .option('--force', 'put the store that is there aside: it is kept beside the new one')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `\nExample:\n  hermesbridge vault restore --from backups/vault-2026-08-01.db --store run/vault.db\n\n${OLDER_LOGS}`,
    )
    .action(restore);
  vault
    .command('verify')
    .summary('verify every log that a store keeps')
    .description(
      'Checks the structure of the file, every row, and every log from its first entry to its last. The service may be running. Exits with 1 if anything is wrong, and names each DID.',
    )
    .requiredOption('--store <file>', 'a store or a backup')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  hermesbridge vault verify --store run/vault.db')
    .action(verify);
}

const DESCRIPTION = 'Keeps what a vault keeps safe. These commands work on its file and ask no service.';
const OLDER_LOGS =
  'Gateways remember the newest version that they have seen of each log, and refuse an older one: what was registered or rotated ' +
  'after the backup must be posted again by its operator.';

interface BackupOptions extends OutputOptions {
  store: string;
  out: string;
  force?: boolean;
}

async function backup({ store, out, force = false, ...output }: BackupOptions): Promise<void> {
  const { dids, entries } = await backUpVault({ store, out, force, progress: progressTo(process.stderr) });
  print(output, { store, out, dids, entries }, `wrote ${out}: ${dids} DIDs, ${entries} entries, all rows checked`);
}

interface RestoreOptions extends OutputOptions {
  from: string;
  store: string;
  force?: boolean;
}

function restore({ from, store, force = false, ...output }: RestoreOptions): void {
  const progress = progressTo(process.stderr);
  const { dids, entries, replaced } = restoreVault({ from, store, force, now: Date.now(), progress });
  const aside = replaced === undefined ? [] : [`the store that was there is now ${replaced}`];
  const text = [`restored ${store}: ${dids} DIDs, ${entries} entries, all rows checked`, ...aside, OLDER_LOGS].join('\n');
  print(output, { store, from, dids, entries, replaced: replaced ?? null, note: OLDER_LOGS }, text);
}

async function verify({ store, ...output }: OutputOptions & { store: string }): Promise<void> {
  const named: BadDid[] = [];
  const onBad = (bad: BadDid) => {
    if (output.json) named.push(bad);
    else print(output, undefined, `${bad.did}: ${bad.problem}`);
  };
  const { dids, entries, bad } = await verifyVault({ store, now: Date.now(), progress: progressTo(process.stderr), onBad });
  if (bad > 0) process.exitCode = EXIT.no;
  const verdict = bad === 0 ? 'all logs verify' : `${bad} of them are bad`;
  print(output, { store, dids, entries, bad: named }, `${store}: ${dids} DIDs, ${entries} entries: ${verdict}`);
}

const TELL_EVERY_MILLIS = 2000;

/** Nothing for what is done at once; then a line now and then. */
function progressTo(stream: NodeJS.WritableStream): Progress {
  let told = performance.now();
  return (what, done, total) => {
    if (performance.now() - told < TELL_EVERY_MILLIS) return;
    told = performance.now();
    stream.write(`${what}: ${total === 0 ? 100 : Math.floor((done / total) * 100)} %\n`);
  };
}
