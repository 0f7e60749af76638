// `did`: what a DID resolves to, and whether its history holds.

import type { Command } from 'commander';
import { readPrivateKey } from '../crypto/private-key.ts';
import { resolveSelfDescribing } from '../vault/self-describing-did.ts';
import { addResolveCommand, resolveDid } from './did-resolve.ts';
import { addVerifyCommand } from './did-verify.ts';
import { nameLines, namesOf } from './key-names.ts';
import { type OutputOptions, print, readNamedFile, UsageError } from './output.ts';

export function addDidCommands(program: Command): void {
  const did = program
    .command('did')
    .summary('show what a DID, or a key as a DID, resolves to')
    .description(
      'Resolves a DID, or names the DIDs of a private key file, and shows the keys in its document. `did resolve` has all options of resolving.',
    )
    .argument('[did]', 'the DID to resolve')
    .option('--key <file>', 'a private key file whose DIDs to show instead')
    .option('--json', 'print JSON')
    // Options after a subcommand are the subcommand's; the program says the same.
    .enablePositionalOptions()
    .addHelpText(
      'after',
      '\nExample:\n  hermesbridge did did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK\n  hermesbridge did --key agent.jwk',
    )
    .action(showDid);
  addResolveCommand(did);
  addVerifyCommand(did);
}

async function showDid(did: string | undefined, { key, ...output }: OutputOptions & { key?: string }): Promise<void> {
  if (key !== undefined) {
    const names = namesOf(readPrivateKey((await readNamedFile(key)).toString('utf8')).publicKey);
    return print(output, names, nameLines(names).join('\n'));
  }
  if (did === undefined) throw new UsageError('name a DID, or a key file with --key');
  if (/^did:web(?:vh)?:/.test(did)) return resolveDid(did, output);
  const document = resolveSelfDescribing(did);
  const methods = document.verificationMethods.map(({ id, key: { jkt, jwk, algorithms }, purposes }) => ({
    id,
    jkt,
    algorithms,
    jwk,
    purposes,
  }));
  print(
    output,
    { did, controller: document.controller ?? null, verificationMethods: methods },
    methods.map(({ id, jkt, algorithms }) => `${id}\n  thumbprint  ${jkt}\n  algorithms  ${algorithms.join(', ')}`).join('\n'),
  );
}
