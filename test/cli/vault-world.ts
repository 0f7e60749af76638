/** A vault on a free port, for the commands of an operator: its real server and store, behind a name that only `--resolve` knows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { controlConfiguration } from '../../src/control/configuration.ts';
import { Followers } from '../../src/control/followers.ts';
import { startControl } from '../../src/control/start-control.ts';
import { SqliteRestrictionStore } from '../../src/stores/sqlite/restrictions/restriction-store.ts';
import { SqliteVaultStore } from '../../src/stores/sqlite/vault/vault-store.ts';
import { selfDescribingResolver } from '../../src/vault/resolver.ts';
import { LogVerifier } from '../../src/vault/webvh/log-verifier.ts';
import { makeCertificates } from '../envoy/certificates.ts';
import { hb, hbJson, type Ran, type Run } from './run-cli.ts';

export interface VaultWorld {
  readonly directory: string;
  readonly origin: string;
  /** Certificates of the CA. */
  readonly ca: string;
  /** Options that lead a command to the vault. */
  readonly reach: readonly string[];
  /** Serves for these operators, with what was registered before. */
  serve(operators: readonly string[]): Promise<void>;
  readonly followers: Followers;
  /** Nobody answers any more. */
  halt(): Promise<void>;
  stop(): Promise<void>;
}

export const HOST = 'service.test';

export async function makeVaultWorld(): Promise<VaultWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'hb-operator-'));
  const { trustedCaFile, server } = await makeCertificates(directory);
  const port = await freePort();
  const origin = `https://${HOST}:${port}`;
  const followers = new Followers(() => performance.now());
  let halt = async () => {};
  return {
    directory,
    origin,
    ca: trustedCaFile,
    reach: ['--vault-ca', trustedCaFile, '--resolve', `${HOST}:127.0.0.1`],
    serve: async (operators) => {
      await halt();
      const store = await SqliteVaultStore.open({ file: join(directory, 'vault.db') });
      const restrictions = await SqliteRestrictionStore.open(join(directory, 'vault.db-restrictions'));
      const verifier = LogVerifier.start();
      const configuration = controlConfiguration.parse({
        service: { listen: `127.0.0.1:${port}`, tls: { certificate: server.certificateFile, key: server.keyFile } },
        origin,
        operators,
      });
      const log = pino({ level: 'silent' });
      const control = await startControl({
        configuration,
        store,
        restrictions: { store: restrictions, followers, administrators: () => [], resolver: selfDescribingResolver() },
        verifier,
        clock: Date.now,
        log,
      });
      halt = async () => {
        halt = async () => {};
        await control.stop();
        verifier.close();
        await restrictions.close();
        await store.close();
      };
    },
    followers,
    halt: () => halt(),
    stop: async () => {
      await halt();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export interface OperatorHome {
  readonly home: string;
  run(words: readonly string[], run?: Run): Promise<Ran>;
  json<T = Record<string, unknown>>(words: readonly string[], run?: Run): Promise<Ran & { value: T }>;
}

/** Commands with a home of their own. */
export function operatorHome({ directory, reach }: VaultWorld, name: string): OperatorHome {
  const home = join(directory, name);
  const all = (words: readonly string[]) => [...words, '--home', home, ...reach];
  return { home, run: (words, run) => hb(all(words), run), json: (words, run) => hbJson(all(words), run) };
}
