// `keygen` and `did`: making a key, and what a DID says.

import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { exportPrivateJwk, generatePrivateKey, readPrivateKey } from '../crypto/private-key.ts';
import { ALGORITHMS, type Algorithm, type PublicKey } from '../crypto/public-key.ts';
import { didJwkOf } from '../vault/did-jwk.ts';
import { didKeyOf } from '../vault/did-key.ts';
import { resolveDid } from '../vault/resolve-did.ts';
import { CommandError, type OutputOptions, print, readNamedFile, UsageError } from './output.ts';

export function addKeyCommands(program: Command): void {
  program
    .command('keygen')
    .summary('make a key for an operator or an agent')
    .description('Makes a private key, writes it to a file that only you can read, and prints the DID that goes with it.')
    .requiredOption('-o, --out <file>', 'where to write the private JWK (mode 0600; never overwritten)')
    .addOption(new Option('--alg <algorithm>', 'algorithm of the key').choices(ALGORITHMS).default('Ed25519'))
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExample:\n  hermesbridge keygen --out operator.jwk\n  hermesbridge keygen --alg ES256 --out agent.jwk',
    )
    .action(keygen);
  program
    .command('did')
    .summary('show what a DID, or a key as a DID, resolves to')
    .description('Resolves a did:key or did:jwk, or names the DIDs of a private key file, and shows the keys in its document.')
    .argument('[did]', 'the DID to resolve')
    .option('--key <file>', 'a private key file whose DIDs to show instead')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExample:\n  hermesbridge did did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK\n  hermesbridge did --key agent.jwk',
    )
    .action(showDid);
}

async function keygen({ out, alg, ...output }: OutputOptions & { out: string; alg: Algorithm }): Promise<void> {
  const key = generatePrivateKey(alg);
  try {
    await writeFile(out, `${JSON.stringify(exportPrivateJwk(key))}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw new CommandError(`${out} exists: a key is never overwritten; choose another --out`);
    throw new CommandError(`${out} cannot be written: ${(error as Error).message}`);
  }
  const names = namesOf(key.publicKey);
  print(output, { file: out, ...names }, [`wrote ${out} (keep it secret, and back it up)`, ...lines(names)].join('\n'));
}

async function showDid(did: string | undefined, { key, ...output }: OutputOptions & { key?: string }): Promise<void> {
  if (key !== undefined) {
    const names = namesOf(readPrivateKey((await readNamedFile(key)).toString('utf8')).publicKey);
    return print(output, names, lines(names).join('\n'));
  }
  if (did === undefined) throw new UsageError('name a DID, or a key file with --key');
  const document = resolveDid(did);
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

function namesOf(key: PublicKey) {
  return { didKey: didKeyOf(key), didJwk: didJwkOf(key), jkt: key.jkt, jwk: key.jwk };
}

function lines({ didKey, didJwk, jkt, jwk }: ReturnType<typeof namesOf>): string[] {
  return [`did:key     ${didKey}`, `did:jwk     ${didJwk}`, `thumbprint  ${jkt}`, `public key  ${JSON.stringify(jwk)}`];
}
