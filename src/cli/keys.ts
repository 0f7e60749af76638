// `keygen`: making a key for an operator or an agent that keeps it in a file.

import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { exportPrivateJwk, generatePrivateKey } from '../crypto/private-key.ts';
import { ALGORITHMS, type Algorithm } from '../crypto/public-key.ts';
import { nameLines, namesOf } from './key-names.ts';
import { CommandError, type OutputOptions, print } from './output.ts';

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
  print(output, { file: out, ...names }, [`wrote ${out} (keep it secret, and back it up)`, ...nameLines(names)].join('\n'));
}
