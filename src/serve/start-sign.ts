// The sidecar's role, wired: the agent's key and capability, the service, and the bootstrap of its Envoy.

import { createHash, randomUUID } from 'node:crypto';
import { unwatchFile, watchFile } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { ConfigurationError, type SignConfiguration } from '../config.ts';
import { readPrivateKey } from '../crypto/private-key.ts';
import { KeyError } from '../crypto/public-key.ts';
import { sidecarBootstrap } from '../envoy/sidecar-bootstrap.ts';
import { makeSignAnswer } from '../ext-authz/answer-sign.ts';
import { makeCheckHandler } from '../ext-authz/authorization-service.ts';
import { encodeDeny } from '../ext-authz/build-check-response.ts';
import { startGrpcServer } from '../ext-authz/grpc-server.ts';
import { problem } from '../ext-authz/problem.ts';
import { AgentChains } from '../sign/agent-chains.ts';
import { delegate } from '../sign/delegate.ts';
import { makeDelegationServer } from '../sign/delegation-server.ts';
import { type HeldChain, holdChain } from '../sign/held-chain.ts';
import { findBroader } from '../token/narrower.ts';
import { TokenError } from '../token/token-form.ts';
import { authorizationServiceOf } from './envoy-settings.ts';
import { listenPrivately } from './private-socket.ts';
import type { RunningRole } from './running-role.ts';
import { readSecret, SecretError } from './secret.ts';
import { CHECK_MARGIN_MILLIS, listenAddress, type StartSettings } from './start-verify.ts';

const CAPABILITY_WATCH_MILLIS = 1000;

/** @throws {ConfigurationError} or the error of the address: nothing is left running then. */
export async function startSign(configuration: SignConfiguration, { log, clock }: StartSettings): Promise<RunningRole> {
  let current = configuration;
  let chains = new AgentChains(await readCredentials(configuration), { ...configuration, clock, log });
  /** A new session only where something changed: a file that was merely read is no reason. */
  const takeUp = async (next: SignConfiguration) => {
    const bound = await readCredentials(next);
    const isAsBefore = isDeepStrictEqual(sessionPart(next), sessionPart(current)) && isSame(bound, chains.bound);
    if (!isAsBefore) {
      const renewed = new AgentChains(bound, { ...next, clock, log });
      await renewed.session();
      chains = renewed;
    }
    current = next;
    return !isAsBefore;
  };
  let localSecretHash = await readLocalSecret(configuration);
  const gateway = gatewayUrl(configuration.gateway);
  const answer = makeSignAnswer({
    credentials: (task) => chains.forRequest(task),
    taskHeader: () => current.task.header,
    localSecretHash: () => localSecretHash,
    gatewayAuthority: gateway.host,
    lifetimeSeconds: configuration.lifetimeSeconds,
    clock,
    log,
  });
  const { deadlineMillis } = configuration.service;
  const server = await startGrpcServer({
    configuration: configuration.service,
    check: makeCheckHandler({ answer, deadlineMillis, clock, log }),
    refuseStranger: () => encodeDeny(problem('indeterminate', 'The peer is not a sidecar of ours.', randomUUID(), clock())),
    maxRequestBytes: configuration.maxRequestBytes,
  });
  const stopDelegation = await startDelegation(configuration, log, async (request) =>
    delegate(request, {
      above: await chains.delegable(),
      tasks: current.tasks,
      taskLifetimeSeconds: current.task.lifetimeMinutes * 60,
      now: clock(),
    }),
  ).catch(async (error: unknown) => {
    await server.stop();
    throw error;
  });
  const stopWatching = watchCapability(configuration, log, () => takeUp(current));
  // Now, and not with the first request, so that what keeps a session from being opened is seen at the start.
  await chains.session();
  const { jkt } = chains.bound.key.publicKey;
  log.info({ role: 'sign', address: server.address, keyid: jkt, gateway: gateway.origin }, 'serving');
  return {
    role: 'sign',
    address: server.address,
    assertReloadable: async (next) => {
      assertReloadable(current, next as SignConfiguration);
      await readLocalSecret(next as SignConfiguration);
      await readCredentials(next as SignConfiguration);
    },
    reload: async (next) => {
      const reloaded = next as SignConfiguration;
      assertReloadable(current, reloaded);
      const secret = await readLocalSecret(reloaded);
      await takeUp(reloaded);
      localSecretHash = secret;
    },
    prepareEnvoy: async () => ({ bootstrap: sidecarEnvoy(current), close: async () => {} }),
    stop: async () => {
      stopWatching();
      await stopDelegation();
      await server.stop();
    },
  };
}

/** What Envoy's bootstrap is rendered from, and what is listened on. */
const FIXED = [
  'service',
  'gateway',
  'gatewayCa',
  'hosts',
  'lifetimeSeconds',
  'maxRequestBytes',
  'envoy',
  'taskPorts',
  'delegation',
] as const;

/** @throws {ConfigurationError} */
function assertReloadable(current: SignConfiguration, next: SignConfiguration): void {
  const changed: string[] = FIXED.filter((name) => !isDeepStrictEqual(current[name], next[name]));
  // Envoy sets it on the ports of tasks.
  if (next.task.header !== current.task.header) changed.push('task.header');
  if (changed.length > 0) throw new ConfigurationError(changed.map((name) => `sign.${name}: changes only with a restart`));
}

/** @throws {ConfigurationError} */
async function readLocalSecret({ localSecret }: SignConfiguration): Promise<Buffer> {
  const secret = await readSecret(localSecret, 'sign.localSecret').catch(asConfigurationError);
  return createHash('sha256').update(secret, 'latin1').digest();
}

function sessionPart({ session, task, tasks }: SignConfiguration) {
  return { session, task, tasks };
}

function isSame(one: HeldChain, other: HeldChain): boolean {
  return one.key.publicKey.jkt === other.key.publicKey.jkt && isDeepStrictEqual(one.chain, other.chain);
}

async function startDelegation(
  { delegation }: SignConfiguration,
  log: Logger,
  answer: Parameters<typeof makeDelegationServer>[0]['delegate'],
): Promise<() => Promise<void>> {
  if (delegation === undefined) return async () => {};
  const stop = await listenPrivately(makeDelegationServer({ delegate: answer, log }), delegation.socket);
  log.info({ socket: delegation.socket }, 'delegating');
  return stop;
}

/** @throws {ConfigurationError} that says which of the two is wrong, that they do not belong together, or which task is broader. */
export async function readCredentials(configuration: SignConfiguration): Promise<HeldChain> {
  try {
    const key = readPrivateKey(await readSecret(configuration.key, 'sign.key'));
    // A capability is no secret: without the key nothing can be done with it.
    const chain = (await readSecret(configuration.capability, 'sign.capability', true)).split(/\s+/);
    const [root, ...links] = chain;
    if (root === undefined) throw new ConfigurationError(['sign.capability: is empty']);
    const held = holdChain(key, [root, ...links]);
    const [most] = held.leaf.untrustedClaims.authorization_details;
    const broader = Object.entries(configuration.tasks).flatMap(([task, details]) => {
      const member = findBroader(details, most);
      return member === undefined ? [] : [`sign.tasks.${task}.${member}: is broader than the capability`];
    });
    if (broader.length > 0) throw new ConfigurationError(broader);
    return held;
  } catch (error) {
    return asConfigurationError(error);
  }
}

function asConfigurationError(error: unknown): never {
  if (error instanceof SecretError) throw new ConfigurationError([error.message]);
  if (error instanceof KeyError) throw new ConfigurationError([`sign.key: ${error.message}`]);
  if (error instanceof TokenError) throw new ConfigurationError([`sign.capability: ${error.message}`]);
  throw error;
}

function gatewayUrl(text: string): URL {
  const url = new URL(text);
  if (url.pathname !== '/' || url.search !== '' || url.username !== '')
    throw new ConfigurationError(['sign.gateway: must be a URL without a path: what is signed is the path that the SDK sends']);
  return url;
}

/** A renewed capability is taken up without a restart; one that does not fit leaves the old in force. */
function watchCapability({ capability, key }: SignConfiguration, log: Logger, reread: () => Promise<boolean>): () => void {
  const files = [capability, key].flatMap((source) => ('file' in source ? [source.file] : []));
  const onChange = () => {
    reread().then(
      (changed) => changed && log.info('capability and key read again'),
      (error: Error) => log.error({ err: error }, 'changed capability or key not usable: the old one stays'),
    );
  };
  for (const file of files) watchFile(file, { interval: CAPABILITY_WATCH_MILLIS, persistent: false }, onChange);
  return () => {
    for (const file of files) unwatchFile(file, onChange);
  };
}

export function sidecarEnvoy(configuration: SignConfiguration) {
  const { envoy, hosts, maxRequestBytes, service, gatewayCa, gateway, task, taskPorts } = configuration;
  const ports = Object.entries(taskPorts).map(([port, name]) => ({ port: Number(port), task: name }));
  return sidecarBootstrap({
    ...(ports.length > 0 && { taskListeners: { header: task.header, ports } }),
    listen: listenAddress(envoy.listen),
    authorities: hosts,
    maxRequestBytes,
    authorizationService: authorizationServiceOf(service),
    admin: { unixSocket: join(envoy.directory ?? '.', 'admin.sock') },
    timeoutMillis: service.deadlineMillis + CHECK_MARGIN_MILLIS,
    gateway: { url: gatewayUrl(gateway), ...(gatewayCa !== undefined && { trustedCaFile: gatewayCa }) },
    accessLog: envoy.accessLog,
  });
}
