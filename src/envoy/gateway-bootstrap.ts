/**
 * The gateway's Envoy: one hardened listener, ext_authz before everything, one route and one cluster for each provider, whose key
 * Envoy itself puts in (profile section 7, docs/threat-model.md group G). Nothing answers without a Check, unknown paths and hosts included.
 */
import { type AuthorizationService, authorizationFilters, authorizationServiceCluster } from './authorization-filter.ts';
import { bootstrapOf, type EnvoyBootstrap, type EnvoyConfig, extension } from './envoy-config.ts';
import { type CertificateFiles, httpListener, type ListenAddress, streamingTimeouts } from './http-connection.ts';
import { streamFilter, streamServiceCluster } from './stream-filter.ts';
import { upstreamCluster } from './upstream-cluster.ts';

export interface GatewayBootstrap {
  listen: ListenAddress;
  /** Downstream TLS; without it the listener speaks clear text, behind someone else's TLS. */
  tls?: CertificateFiles;
  /** Hosts the gateway is reached by. One without a port also stands for `host:443`. */
  authorities: string[];
  /** Largest request body in bytes; one byte more is 413. The service's gRPC limit must exceed it by the headers. */
  maxRequestBytes: number;
  authorizationService: AuthorizationService;
  /** Envoy's admin interface, a Unix socket with mode 0600. */
  admin: { unixSocket: string };
  /** Milliseconds for one Check with its repetitions; then 503. */
  timeoutMillis: number;
  /** Whether the service is asked to watch over each response, which it can then end. */
  cutStreams: boolean;
  providers: GatewayProvider[];
  /** Connections at once; default 10000. */
  maxConnections?: number;
  /** One JSON line for each request on stdout, without headers, query or body; default off. */
  accessLog?: boolean;
}

export interface GatewayProvider {
  /** `openai`: names the cluster (`provider_openai`), the route and the credential's secret. */
  name: string;
  /** `/openai/`: with a slash at both ends, and not a prefix of another provider's. It is replaced by the URL's path. */
  prefix: string;
  /** `https://api.openai.com/`, or http for one on this machine; with a base path where it has one. */
  upstream: URL;
  /** The SDS file with the credential, see credential-file.ts. Without a credential in it the provider's requests get 401. */
  sdsFile: string;
  /** `{ header: 'authorization', prefix: 'Bearer ' }` or `{ header: 'x-api-key', prefix: '' }`. */
  credential: { header: string; prefix: string };
  /** PEM bundle for the upstream's certificate; default the operating system's. */
  trustedCaFile?: string;
}

/** Credentials that a client may send. Each goes before the provider's own is put in, so that a wrong one is never forwarded. */
export const clientCredentials = [
  'authorization',
  'proxy-authorization',
  'x-api-key',
  'api-key',
  'x-goog-api-key',
  'x-amz-security-token',
  'cookie',
];

/** What Envoy, the agent's side and the proxies before us added. A provider is a third party: it learns none of it. */
export const privateHeaders = [
  'x-envoy-*',
  'x-forwarded-*',
  'x-request-id',
  'x-real-ip',
  'forwarded',
  'via',
  'agent-*',
  'x-agent-*',
  'signature',
  'signature-input',
  'accept-signature',
  'content-digest',
  'repr-digest',
];

/** The bootstrap of the gateway's Envoy. Throws an Error that names the setting when one cannot be meant. */
export function gatewayBootstrap(settings: GatewayBootstrap): EnvoyBootstrap {
  assertProviders(settings.providers);
  return bootstrapOf({
    id: 'hermesbridge-gateway',
    adminSocket: settings.admin.unixSocket,
    maxConnections: settings.maxConnections ?? 10_000,
    listeners: [
      httpListener({
        name: 'gateway',
        listen: settings.listen,
        tls: settings.tls,
        maxRequestBytes: settings.maxRequestBytes,
        accessLog: settings.accessLog,
        httpFilters: authorizationFilters(settings),
        virtualHosts: [
          {
            name: 'gateway',
            domains: domainsOf(settings.authorities),
            routes: [...settings.providers.map(providerRoute), notFound()],
          },
          { name: 'unknown_host', domains: ['*'], routes: [notFound()] },
        ],
      }),
    ],
    clusters: [
      authorizationServiceCluster(settings.authorizationService),
      ...(settings.cutStreams ? [streamServiceCluster(settings.authorizationService)] : []),
      ...settings.providers.map((provider) => providerCluster(provider, settings)),
    ],
  });
}

function providerRoute(provider: GatewayProvider): EnvoyConfig {
  return {
    name: provider.name,
    match: { prefix: provider.prefix },
    // No retries: one Check stands for one attempt, and a body kept for another one would live as long as its stream.
    route: {
      cluster: clusterName(provider),
      prefix_rewrite: provider.upstream.pathname.endsWith('/') ? provider.upstream.pathname : `${provider.upstream.pathname}/`,
      host_rewrite_literal: provider.upstream.host,
      ...streamingTimeouts,
    },
    response_headers_to_remove: ['alt-svc'], // it would send the client to another port of ours
  };
}

/** After ext_authz like any other route: an unknown path or host is denied and recorded by the service before it is not found. */
export function notFound(): EnvoyConfig {
  return {
    name: 'not_found',
    match: { prefix: '/' },
    direct_response: { status: 404, body: { inline_string: '{"type":"about:blank","title":"Not Found","status":404}' } },
    response_headers_to_add: [
      { header: { key: 'content-type', value: 'application/problem+json' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
    ],
  };
}

function providerCluster(provider: GatewayProvider, { cutStreams, timeoutMillis }: GatewayBootstrap): EnvoyConfig {
  return upstreamCluster({
    name: clusterName(provider),
    url: provider.upstream,
    trustedCaFile: provider.trustedCaFile,
    removedHeaders: [...new Set([...privateHeaders, ...clientCredentials, provider.credential.header.toLowerCase()])],
    upstreamFilters: [...(cutStreams ? [streamFilter({ timeoutMillis })] : []), credentialInjector(provider)],
  });
}

/** In the cluster and not in the listener: a key can then not be mirrored, redirected or routed to another host. */
function credentialInjector(provider: GatewayProvider): EnvoyConfig {
  return extension(
    'envoy.filters.http.credential_injector',
    'envoy.extensions.filters.http.credential_injector.v3.CredentialInjector',
    {
      overwrite: true,
      allow_request_without_credential: false,
      credential: extension(
        'envoy.http.injected_credentials.generic',
        'envoy.extensions.http.injected_credentials.generic.v3.Generic',
        {
          credential: {
            name: provider.name,
            sds_config: { path_config_source: { path: provider.sdsFile }, resource_api_version: 'V3' },
          },
          header: provider.credential.header,
          header_value_prefix: provider.credential.prefix,
        },
      ),
    },
  );
}

function clusterName(provider: GatewayProvider): string {
  return `provider_${provider.name}`;
}

/** Lower-case hosts, each once. A wildcard is refused: it would let a client choose the host that it signs for. */
export function checkedAuthorities(authorities: string[]): string[] {
  if (authorities.length === 0) throw new Error('authorities is empty: no host would be served');
  for (const authority of authorities) {
    if (!/^(\[[0-9a-f:.]+\]|[a-z0-9.-]*[a-z0-9])(:\d{1,5})?$/i.test(authority)) {
      throw new Error(`authorities has ${JSON.stringify(authority)}: give a host or host:port, without wildcard`);
    }
  }
  return [...new Set(authorities.map((authority) => authority.toLowerCase()))];
}

/** `host` also as `host:443`, which some clients send. */
function domainsOf(authorities: string[]): string[] {
  const withPort = (authority: string) => (/:\d+$/.test(authority) ? [authority] : [authority, `${authority}:443`]);
  return [...new Set(checkedAuthorities(authorities).flatMap(withPort))];
}

function assertProviders(providers: GatewayProvider[]): void {
  for (const provider of providers) {
    const where = `provider ${JSON.stringify(provider.name)}`;
    if (!/^[a-z0-9][a-z0-9_-]*$/.test(provider.name)) throw new Error(`${where}: a name is a-z, 0-9, _ and -`);
    if (!/^\/([A-Za-z0-9._~-]+\/)+$/.test(provider.prefix)) throw new Error(`${where}: prefix must look like /openai/`);
    if (!['http:', 'https:'].includes(provider.upstream.protocol)) throw new Error(`${where}: upstream must be http or https`);
    if (provider.upstream.search || provider.upstream.hash || provider.upstream.username || provider.upstream.password) {
      throw new Error(`${where}: upstream takes no query, fragment or user`);
    }
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(provider.credential.header))
      throw new Error(`${where}: credential.header is no header name`);
    for (const other of providers) {
      if (other === provider) continue;
      if (other.name === provider.name) throw new Error(`${where} is there twice`);
      if (other.prefix.startsWith(provider.prefix)) throw new Error(`${where}: prefix ${provider.prefix} hides ${other.prefix}`);
    }
  }
}
