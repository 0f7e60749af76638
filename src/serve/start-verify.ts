// The gateway's role, wired: store, checks, service, and the bootstrap of its Envoy.

import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { ProviderApi } from '../checks/capability/provider-api.ts';
import { loadProviders } from '../checks/capability/provider-registry.ts';
import { type Checks, makeChecks } from '../checks/checks.ts';
import type { NonceStore } from '../checks/nonce/check-nonce.ts';
import type { RestrictionsInForce } from '../checks/restriction/check-restriction.ts';
import { ConfigurationError, type VerifyConfiguration } from '../config.ts';
import { credentialFile } from '../envoy/credential-file.ts';
import type { EnvoyBootstrap } from '../envoy/envoy-config.ts';
import { gatewayBootstrap } from '../envoy/gateway-bootstrap.ts';
import { makeVerifyAnswer } from '../ext-authz/answer-verify.ts';
import { makeCheckHandler } from '../ext-authz/authorization-service.ts';
import { encodeDeny } from '../ext-authz/build-check-response.ts';
import { startGrpcServer } from '../ext-authz/grpc-server.ts';
import { problem } from '../ext-authz/problem.ts';
import { makeWatchHandler } from '../ext-proc/watch-response.ts';
import { EmbeddedStore } from '../stores/sqlite/embedded-store.ts';
import { trustOperators } from '../trust/operators.ts';
import { findDidProblem } from '../vault/find-did-problem.ts';
import type { DidResolver } from '../vault/resolver.ts';
import { authorizationServiceOf, credentialPath } from './envoy-settings.ts';
import { authoritiesOf, providerRoutes, upstreamOf } from './provider-routes.ts';
import { type LocalVault, startResolution } from './resolution.ts';
import { startRestrictions } from './restrictions.ts';
import type { RunningRole } from './running-role.ts';
import { startSightings } from './sightings.ts';
import { watchStreams } from './streams.ts';

export interface StartSettings {
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** The vault of the control role, where it runs in this process too. */
  readonly localVault?: LocalVault;
}

/** @throws {ConfigurationError}, {StoreError} or the error of the address: nothing is left running then. */
export async function startVerify(
  configuration: VerifyConfiguration,
  { log, clock, localVault }: StartSettings,
): Promise<RunningRole> {
  const apis = await loadProviders();
  // Everything that can be wrong is found before anything is opened.
  assertVerify(configuration, apis);
  await mkdir(dirname(configuration.store.file), { recursive: true, mode: 0o700 });
  const { maxLifetimeSeconds, clockSkewSeconds } = configuration.signature;
  const windowMillis = (maxLifetimeSeconds + 2 * clockSkewSeconds) * 1000;
  const store = await EmbeddedStore.open({
    ...configuration.store,
    ...configuration.nonce,
    windowMillis,
    monotonic: () => performance.now(),
  });
  const opened: { stop(): Promise<void> }[] = [{ stop: () => store.close() }];
  try {
    const { redis } = configuration;
    const sharing = redis && (await import('./shared-nonces.ts'));
    const shared =
      sharing && (await sharing.startSharedNonces({ configuration: redis, own: store.nonces, windowMillis, clock, log }));
    if (shared) opened.push(shared);
    const resolution = await startResolution({
      configuration: configuration.resolution,
      seenFile: `${configuration.store.file}-logs`,
      localVault,
      log,
      clock,
    });
    opened.push(resolution);
    const { resolver } = resolution;
    // Asked for before the first request needs them, which otherwise would have to wait for the worker to start as well.
    for (const { did } of configuration.trust.operators) {
      Promise.resolve(resolver.current(did)).catch((err: unknown) => log.warn({ did, err }, 'operator not resolved yet'));
    }
    const restrictions = await startRestrictions({ configuration, local: localVault?.restrictions, resolution, log, clock });
    opened.push(restrictions);
    const sightings = await startSightings({ configuration, restrictions, showSightings: localVault?.showSightings, log, clock });
    opened.push(sightings);
    const stores = { nonces: shared?.store ?? store.nonces, restrictions: restrictions.inForce };
    let current = configuration;
    let checks = checksFor(configuration, apis, stores, resolver, clock);
    const answer = makeVerifyAnswer({
      checks: () => checks,
      appendRecord: (record, nonce) => store.append(record, nonce),
      noteSighting: sightings.note,
      clock,
      log,
    });
    const { deadlineMillis } = configuration.service;
    const streams = configuration.streams.cut
      ? watchStreams({ restrictions, appendRecord: (record) => store.append(record, undefined), clock, log })
      : undefined;
    if (streams !== undefined) opened.push(streams);
    const server = await startGrpcServer({
      configuration: configuration.service,
      check: makeCheckHandler({ answer, deadlineMillis, clock, log }),
      watch: streams && makeWatchHandler(streams.live, log),
      refuseStranger: () => encodeDeny(problem('indeterminate', 'The peer is not a gateway of ours.', randomUUID(), clock())),
      maxRequestBytes: configuration.maxRequestBytes,
    });
    shared?.onFitness((fit) => server.setServing(fit));
    log.info({ role: 'verify', address: server.address, providers: Object.keys(configuration.providers) }, 'serving');
    return {
      role: 'verify',
      address: server.address,
      assertReloadable: async (next) => {
        assertVerify(next as VerifyConfiguration, apis);
        assertReloadable(current, next as VerifyConfiguration);
      },
      reload: async (next) => {
        const reloaded = next as VerifyConfiguration;
        assertVerify(reloaded, apis);
        assertReloadable(current, reloaded);
        await restrictions.trust(reloaded.trust);
        checks = checksFor(reloaded, apis, stores, resolver, clock);
        current = reloaded;
      },
      prepareEnvoy: () => prepareGatewayEnvoy(current, apis, log),
      stop: async () => {
        await server.stop();
        await stopAll(opened);
      },
    };
  } catch (error) {
    await stopAll(opened);
    throw error;
  }
}

async function stopAll(opened: readonly { stop(): Promise<void> }[]): Promise<void> {
  for (const { stop } of opened.toReversed()) await stop();
}

/** @throws {ConfigurationError} with what a schema cannot see. */
export function assertVerify(configuration: VerifyConfiguration, apis: ReadonlyMap<string, ProviderApi>): void {
  const problems: string[] = [];
  try {
    providerRoutes(configuration, apis);
  } catch (error) {
    if (error instanceof ConfigurationError) problems.push(...error.problems);
    else throw error;
  }
  for (const { did } of configuration.trust.operators) {
    const problem = findDidProblem(did, configuration.resolution.web);
    if (problem !== undefined) problems.push(`verify.trust.operators: ${problem}`);
  }
  if (configuration.restrictions.feed === 'redis' && configuration.redis === undefined)
    problems.push('verify.restrictions.feed: `redis` needs the section `verify.redis`');
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** What is bound or opened at start, or rendered into a running Envoy, cannot change under it. */
const FIXED = [
  'service',
  'store',
  'nonce',
  'signature',
  'maxRequestBytes',
  'envoy',
  'providers',
  'gateway',
  'resolution',
  'restrictions',
  'sightings',
  'streams',
  'replicas',
  'redis',
] as const;

function assertReloadable(current: VerifyConfiguration, next: VerifyConfiguration): void {
  const changed = FIXED.filter((section) => !isDeepStrictEqual(current[section], next[section]));
  if (changed.length > 0)
    throw new ConfigurationError(changed.map((section) => `verify.${section}: changes only with a restart`));
}

function checksFor(
  configuration: VerifyConfiguration,
  apis: ReadonlyMap<string, ProviderApi>,
  stores: { readonly nonces: NonceStore; readonly restrictions: RestrictionsInForce },
  resolver: DidResolver,
  clock: () => number,
): Checks {
  return makeChecks({
    gatewayNames: configuration.gateway.names,
    operators: trustOperators(configuration.trust),
    resolver,
    routes: providerRoutes(configuration, apis),
    signature: configuration.signature,
    chain: configuration.chain,
    ...stores,
    clock,
    newDecisionId: randomUUID,
  });
}

/** The gateway's bootstrap, and the credential files that it refers to. @throws for a key that cannot be read. */
export async function prepareGatewayEnvoy(
  configuration: VerifyConfiguration,
  apis: ReadonlyMap<string, ProviderApi>,
  log: Logger,
) {
  assertVerify(configuration, apis);
  const bootstrap = gatewayEnvoy(configuration, apis);
  const credentials: { close(): Promise<void> }[] = [];
  for (const [name, { credential: source }] of Object.entries(configuration.providers)) {
    const onChange = ({ error }: { error?: Error | undefined }) =>
      error
        ? log.error({ provider: name, err: error }, 'provider key unusable')
        : log.info({ provider: name }, 'provider key changed');
    const sdsFile = credentialPath(configuration.envoy.directory ?? '.', name);
    credentials.push(await credentialFile({ name, source, sdsFile, onChange }));
  }
  return { bootstrap, close: async () => void (await Promise.all(credentials.map((credential) => credential.close()))) };
}

/** @throws for what Envoy would not take */
export function gatewayEnvoy(configuration: VerifyConfiguration, apis: ReadonlyMap<string, ProviderApi>): EnvoyBootstrap {
  const { envoy, maxRequestBytes, service } = configuration;
  const directory = envoy.directory ?? '.';
  const providers = Object.entries(configuration.providers).flatMap(([name, provider]) => {
    const api = apis.get(provider.api);
    const upstream = api && upstreamOf(provider, api);
    if (api === undefined || upstream === undefined) return []; // assertVerify refuses this
    const sdsFile = credentialPath(directory, name);
    const trusted = provider.trustedCa === undefined ? {} : { trustedCaFile: provider.trustedCa };
    return [{ name, prefix: `/${name}/`, upstream: new URL(upstream), sdsFile, credential: api.credential, ...trusted }];
  });
  return gatewayBootstrap({
    listen: listenAddress(envoy.listen),
    ...(envoy.tls && { tls: { certificateFile: envoy.tls.certificate, keyFile: envoy.tls.key } }),
    authorities: authoritiesOf(configuration),
    maxRequestBytes,
    authorizationService: authorizationServiceOf(service),
    admin: { unixSocket: join(directory, 'admin.sock') },
    timeoutMillis: service.deadlineMillis + CHECK_MARGIN_MILLIS,
    cutStreams: configuration.streams.cut,
    providers,
    accessLog: envoy.accessLog,
  });
}

/** Envoy waits a little longer than the service takes, so that the answer of a late check is still the service's. */
export const CHECK_MARGIN_MILLIS = 200;

export function listenAddress(listen: string): { address: string; port: number } {
  const at = listen.lastIndexOf(':');
  return { address: listen.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(listen.slice(at + 1)) };
}
