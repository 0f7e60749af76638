// The settings of an Envoy bootstrap that follow from the service's own.

import { join } from 'node:path';
import { ConfigurationError } from '../config.ts';
import type { AuthorizationService } from '../envoy/authorization-filter.ts';
import type { ServiceConfiguration } from '../ext-authz/grpc-server.ts';

/** @throws {ConfigurationError} when Envoy has no certificate to show to a service that asks for one. */
export function authorizationServiceOf({ listen, tls }: ServiceConfiguration): AuthorizationService {
  if (listen.startsWith('unix:')) return { unixSocket: listen.slice('unix:'.length) };
  const at = listen.lastIndexOf(':');
  const address = listen.slice(0, at);
  const endpoint = { address, port: Number(listen.slice(at + 1)) };
  if (tls === undefined) return endpoint;
  if (tls.envoyCertificate === undefined || tls.envoyKey === undefined) {
    throw new ConfigurationError(['service.tls: envoyCertificate and envoyKey are required to run or render Envoy']);
  }
  const files = { certificateFile: tls.envoyCertificate, keyFile: tls.envoyKey, trustedCaFile: tls.clientCa };
  return { ...endpoint, tls: { ...files, serverNames: [tls.serverName ?? address] } };
}

export function credentialPath(directory: string, provider: string): string {
  return join(directory, 'credentials', `${provider}.yaml`);
}
