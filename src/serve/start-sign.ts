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
import type { SigningCredentials } from '../sign/sign-request.ts';
import { findChainFault, readChainForm, tokenName } from '../token/chain-form.ts';
import { bindKey, TokenError } from '../token/token-form.ts';
import { authorizationServiceOf } from './envoy-settings.ts';
import type { RunningRole } from './running-role.ts';
import { readSecret, SecretError } from './secret.ts';
import { CHECK_MARGIN_MILLIS, listenAddress, type StartSettings } from './start-verify.ts';

type Credentials = SigningCredentials & { readonly expiresAt: number };

const CAPABILITY_WATCH_MILLIS = 1000;

/** @throws {ConfigurationError} or the error of the address: nothing is left running then. */
export async function startSign(configuration: SignConfiguration, { log, clock }: StartSettings): Promise<RunningRole> {
  let current = configuration;
  let credentials = await readCredentials(configuration);
  const localSecret = await readSecret(configuration.localSecret, 'sign.localSecret').catch(asConfigurationError);
  const gateway = gatewayUrl(configuration.gateway);
  const answer = makeSignAnswer({
    credentials: () => credentials,
    localSecretHash: createHash('sha256').update(localSecret, 'latin1').digest(),
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
  const stopWatching = watchCapability(configuration, log, async () => {
    credentials = await readCredentials(current);
  });
  log.info({ role: 'sign', address: server.address, keyid: credentials.key.publicKey.jkt, gateway: gateway.origin }, 'serving');
  return {
    role: 'sign',
    address: server.address,
    reload: async (next) => {
      const reloaded = next as SignConfiguration;
      const changed = FIXED.filter((name) => !isDeepStrictEqual(current[name], reloaded[name]));
      if (changed.length > 0) throw new ConfigurationError(changed.map((name) => `sign.${name}: changes only with a restart`));
      credentials = await readCredentials(reloaded);
      current = reloaded;
    },
    prepareEnvoy: async () => ({ bootstrap: sidecarEnvoy(current), close: async () => {} }),
    stop: async () => {
      stopWatching();
      await server.stop();
    },
  };
}

const FIXED = ['service', 'gateway', 'gatewayCa', 'localSecret', 'lifetimeSeconds', 'maxRequestBytes', 'envoy'] as const;

/** @throws {ConfigurationError} that says which of the two is wrong, and that they do not belong together. */
export async function readCredentials(configuration: SignConfiguration): Promise<Credentials> {
  try {
    const key = readPrivateKey(await readSecret(configuration.key, 'sign.key'));
    // A capability is no secret: without the key nothing can be done with it.
    const chain = (await readSecret(configuration.capability, 'sign.capability', true)).split(/\s+/);
    const [root, ...links] = chain;
    if (root === undefined) throw new ConfigurationError(['sign.capability: is empty']);
    const form = readChainForm([root, ...links]);
    const fault = findChainFault(form);
    if (fault !== undefined) throw new ConfigurationError([`sign.capability: ${tokenName(fault.at)} ${fault.why}`]);
    // No token below another one outlives it, so the leaf says when the chain ends.
    const leaf = bindKey(form.at(-1) ?? form[0]);
    if (leaf.untrustedKey.jkt !== key.publicKey.jkt || leaf.algorithm !== key.algorithm) {
      throw new ConfigurationError(['sign.capability: was issued to another key than sign.key']);
    }
    return { key, chain, expiresAt: leaf.untrustedClaims.exp * 1000 };
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
function watchCapability({ capability, key }: SignConfiguration, log: Logger, reread: () => Promise<void>): () => void {
  const files = [capability, key].flatMap((source) => ('file' in source ? [source.file] : []));
  const onChange = () => {
    reread().then(
      () => log.info('capability and key read again'),
      (error: Error) => log.error({ err: error }, 'changed capability or key not usable: the old one stays'),
    );
  };
  for (const file of files) watchFile(file, { interval: CAPABILITY_WATCH_MILLIS, persistent: false }, onChange);
  return () => {
    for (const file of files) unwatchFile(file, onChange);
  };
}

export function sidecarEnvoy({ envoy, maxRequestBytes, service, gatewayCa, gateway }: SignConfiguration) {
  return sidecarBootstrap({
    listen: listenAddress(envoy.listen),
    maxRequestBytes,
    authorizationService: authorizationServiceOf(service),
    admin: { unixSocket: join(envoy.directory ?? '.', 'admin.sock') },
    timeoutMillis: service.deadlineMillis + CHECK_MARGIN_MILLIS,
    gateway: { url: gatewayUrl(gateway), ...(gatewayCa !== undefined && { trustedCaFile: gatewayCa }) },
    accessLog: envoy.accessLog,
  });
}
