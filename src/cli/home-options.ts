// What the commands of an operator have in common: its home, the vault, and who looks up the vault's name.

import { randomBytes } from 'node:crypto';
import { lookup as systemLookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { homeFiles } from '../operator/home.ts';
import type { OperatorTools } from '../operator/operator-tools.ts';
import { VaultClient } from '../operator/vault-client.ts';
import { LogVerifier } from '../vault/webvh/log-verifier.ts';
import { type OutputOptions, readNamedFile } from './output.ts';

export interface HomeOptions extends OutputOptions {
  home?: string;
  vaultCa?: string;
  resolve?: ReadonlyMap<string, string>;
}

/** As the vault's gateways may take to hear of a new key, and to ask for it. */
const SETTLE_MILLIS = 2000;

export function addHomeOptions(command: Command): Command {
  return command
    .option('--home <dir>', "the operator's folder (or HERMESBRIDGE_HOME; default: ~/.hermesbridge/operator)")
    .option(
      '--vault-ca <file>',
      "CA certificates that the vault is verified against; by default those of `init`, or the system's",
    )
    .option('--resolve <host:address>', RESOLVE_HELP, hostAddress)
    .option('--json', 'print JSON');
}

export const RESOLVE_HELP = 'look the host up as this address, as for a name that is not in DNS yet; may be repeated';

/** Absolute, since it is written down. */
export function fileOption(file: string | undefined): string | undefined {
  return file === undefined ? undefined : resolve(file);
}

export function operatorTools({ home, vaultCa, resolve: addresses = new Map() }: HomeOptions): OperatorTools {
  const verifier = LogVerifier.start({ timeLimitMillis: 30_000 });
  return {
    files: homeFiles(home),
    vaultAt: async (origin, remembered) => {
      const file = vaultCa ?? remembered;
      const ca = file === undefined ? undefined : (await readNamedFile(file)).toString('utf8');
      return new VaultClient({ origin, ca, clock: Date.now, random: randomBytes, lookup: lookupWith(addresses) });
    },
    verifyLog: (log) => verifier.verify(log),
    clock: Date.now,
    random: randomBytes,
    onProgress: (line) => process.stderr.write(`${line}\n`),
    settleMillis: SETTLE_MILLIS,
  };
}

/** `dns.lookup`, but for the hosts that are named. */
export function lookupWith(addresses: ReadonlyMap<string, string>): LookupFunction {
  return (hostname, options, found) => {
    const address = addresses.get(hostname.toLowerCase());
    if (address === undefined) return systemLookup(hostname, options, found);
    const family = isIP(address);
    if (options.all) found(null, [{ address, family }]);
    else found(null, address, family);
  };
}

export function hostAddress(text: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const [, host, address = ''] = /^([^:]+):(.+)$/.exec(text) ?? [];
  if (host === undefined || isIP(address) === 0)
    throw new InvalidArgumentError('must be HOST:ADDRESS, such as vault.example:10.0.0.7');
  return new Map([...before, [host.toLowerCase(), address]]);
}
