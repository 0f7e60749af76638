/** A vault and its gateways over one Redis, without Envoy: what they keep and say to each other of restrictions is real. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { expect } from 'vitest';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { type Configuration, parseConfiguration } from '../../src/config.ts';
import { startResolution } from '../../src/serve/resolution.ts';
import { type GatewayRestrictions, startRestrictions } from '../../src/serve/restrictions.ts';
import { type RunningVault, startControl } from '../../src/serve/start-control.ts';
import { makeCertificates } from '../envoy/certificates.ts';
import { askVault, did, revocation } from './ask-vault.ts';

export const BOUND_SECONDS = 2;
export const soon = { timeout: 20_000, interval: 2 };

export interface FleetGateway {
  readonly name: string;
  readonly restrictions: GatewayRestrictions;
  readonly logged: string[];
  isRevoked(jti: string): boolean;
  isFresh(): boolean;
  stop(): Promise<void>;
}

export interface Acknowledgement {
  readonly acknowledged: boolean;
  readonly followers: number;
  readonly missing: readonly string[];
}

export class RestrictionFleet {
  readonly directory = mkdtempSync(join(tmpdir(), 'hb-shared-'));
  readonly gateways: FleetGateway[] = [];
  readonly vaultLog: string[] = [];
  readonly #redis: Record<string, unknown>;
  #origin = '';
  #ca = '';
  #vault: RunningVault | undefined;
  #startVault: (() => Promise<RunningVault>) | undefined;

  private constructor(redis: Record<string, unknown>) {
    this.#redis = redis;
  }

  /** @param redis the section of that name @param names of the gateways */
  static async start(redis: Record<string, unknown>, names: readonly string[]): Promise<RestrictionFleet> {
    const fleet = new RestrictionFleet(redis);
    const { trustedCaFile, server } = await makeCertificates(fleet.directory);
    fleet.#ca = trustedCaFile;
    const port = await freePort();
    fleet.#origin = `https://localhost:${port}`;
    const { control } = read({
      control: {
        service: { listen: `127.0.0.1:${port}`, tls: { certificate: server.certificateFile, key: server.keyFile } },
        origin: fleet.#origin,
        operators: [did],
        store: { file: join(fleet.directory, 'vault.db') },
        redis,
      },
    });
    if (control === undefined) throw new Error('no role');
    const log: Logger = pino({}, { write: (line: string) => void fleet.vaultLog.push(line) });
    fleet.#startVault = () => startControl(control, { log, clock: Date.now });
    await fleet.startVault();
    for (const name of names) fleet.gateways.push(await fleet.startGateway(name));
    return fleet;
  }

  async startVault(): Promise<void> {
    this.#vault = await this.#startVault?.();
  }

  async stopVault(): Promise<void> {
    await this.#vault?.stop();
    this.#vault = undefined;
  }

  /** One that is not among `gateways`: whoever starts it stops it. */
  async startGateway(name: string, clock = Date.now): Promise<FleetGateway> {
    const { verify } = read({
      verify: {
        gateway: { names: ['gateway.example'] },
        trust: { operators: [{ did }] },
        providers: { openai: { api: 'openai', credential: { file: 'x' } } },
        store: { file: join(this.directory, `${name}.db`) },
        restrictions: { maxStaleSeconds: BOUND_SECONDS },
        redis: this.#redis,
        replicas: 3,
      },
    });
    if (verify === undefined) throw new Error('no role');
    const logged: string[] = [];
    const log: Logger = pino({}, { write: (line: string) => void logged.push(line) });
    const seenFile = `${verify.store.file}-logs`;
    const resolution = await startResolution({ configuration: verify.resolution, seenFile, localVault: undefined, log, clock });
    const restrictions = await startRestrictions({ configuration: verify, local: undefined, resolution, log, clock });
    const isRevoked = (jti: string) =>
      'revoked' in
      restrictions.inForce.find({
        operator: { did },
        links: [{ agent: 'did:web:a', jti: jti.replaceAll(' ', '-'), jkt: 'k', iat: 1 }],
      });
    const stop = async () => {
      await restrictions.stop();
      await resolution.stop();
    };
    return { name, restrictions, logged, isRevoked, isFresh: () => restrictions.inForce.isFresh(), stop };
  }

  /** @returns its sequence */
  async revoke(jti: string): Promise<number> {
    const { status, value } = await this.#ask<{ sequence: number }>('/v1/restrictions', { restriction: revocation(jti) });
    expect(status).toBe(201);
    return value.sequence;
  }

  async acknowledged(sequence: number, waitSeconds = 10): Promise<Acknowledgement> {
    return (await this.#ask<Acknowledgement>(`/v1/restrictions/${sequence}/acknowledged?wait=${waitSeconds}`)).value;
  }

  everywhere(jti: string): boolean[] {
    return this.gateways.map(({ isRevoked }) => isRevoked(jti));
  }

  allFresh(): Promise<void> {
    return expect.poll(() => this.gateways.every((gateway) => gateway.isFresh()), soon).toBe(true);
  }

  noneFresh(): Promise<void> {
    return expect.poll(() => this.gateways.some((gateway) => gateway.isFresh()), soon).toBe(false);
  }

  async stop(): Promise<void> {
    for (const gateway of this.gateways) await gateway.stop();
    await this.stopVault();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #ask<T>(path: string, body?: object): Promise<{ status: number; value: T }> {
    return askVault<T>(new URL(path, this.#origin), this.#ca, body);
  }
}

function read(value: object): Configuration {
  return parseConfiguration(JSON.stringify(value), 'hermesbridge.yaml');
}
