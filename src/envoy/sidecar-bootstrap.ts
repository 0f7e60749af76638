/**
 * The sidecar's Envoy next to the agent (profile section 9): it takes the SDK's call on loopback, lets the service in its `sign`
 * role add the Agent-* and Signature headers, and hands the same method, path and body to the gateway.
 */
import { type AuthorizationService, authorizationFilters, authorizationServiceCluster } from './authorization-filter.ts';
import { bootstrapOf, type EnvoyBootstrap, type EnvoyConfig } from './envoy-config.ts';
import { checkedAuthorities, clientCredentials, notFound } from './gateway-bootstrap.ts';
import { type HttpConnection, httpListener, type ListenAddress, streamingTimeouts } from './http-connection.ts';
import { upstreamCluster } from './upstream-cluster.ts';

export interface SidecarBootstrap {
  /** Loopback, since whoever reaches it has the agent's capability. */
  listen: ListenAddress;
  /** Hosts that the SDK's base URL may name, on any port; default the loopback names. A web page's own host is none of them. */
  authorities?: string[];
  /** Largest request body in bytes, not above the gateway's; one byte more is 413. */
  maxRequestBytes: number;
  /** The service in its `sign` role. */
  authorizationService: AuthorizationService;
  /** Envoy's admin interface, a Unix socket with mode 0600. */
  admin: { unixSocket: string };
  /** Milliseconds for signing one request with its repetitions; then 503. */
  timeoutMillis: number;
  gateway: {
    /** `https://gateway.example/`, or http on this machine. Without a path: the path that is signed is the path that is sent. */
    url: URL;
    /** The gateway's name as it is signed and sent in `Host`, where the URL reaches it under another; default the URL's. */
    authority?: string;
    /** PEM bundle for the gateway's certificate; default the operating system's. */
    trustedCaFile?: string;
  };
  /** Further ports beside `listen`: every request there gets this header, in place of the caller's own. */
  taskListeners?: { header: string; ports: { port: number; task: string }[] };
  /** Connections at once; default 1000. */
  maxConnections?: number;
  /** One JSON line for each request on stdout, without headers, query or body; default off. */
  accessLog?: boolean;
}

/** Only what this Envoy added, and the local secret: the SDK's other headers are its call and may be signed. */
const removedHeaders = ['x-envoy-*', 'x-forwarded-*', 'x-request-id', ...clientCredentials];

/** The bootstrap of the sidecar's Envoy. Throws an Error that names the setting when one cannot be meant. */
export function sidecarBootstrap(settings: SidecarBootstrap): EnvoyBootstrap {
  const { url } = settings.gateway;
  if (!['http:', 'https:'].includes(url.protocol)) throw new Error('gateway.url must be http or https');
  if (url.pathname !== '/' || url.search || url.hash || url.username || url.password) {
    throw new Error('gateway.url takes no path, query, fragment or user: the path that is signed is the path that is sent');
  }
  const { header = '', ports = [] } = settings.taskListeners ?? {};
  return bootstrapOf({
    id: 'hermesbridge-sidecar',
    adminSocket: settings.admin.unixSocket,
    maxConnections: settings.maxConnections ?? 1000,
    listeners: [
      sidecarListener(settings, { name: 'sidecar', listen: settings.listen }),
      ...ports.map(({ port, task }) =>
        sidecarListener(settings, {
          name: `sidecar_${port}`,
          listen: { address: settings.listen.address, port },
          setHeader: { name: header, value: task },
        }),
      ),
    ],
    clusters: [
      authorizationServiceCluster(settings.authorizationService),
      upstreamCluster({ name: 'gateway', url, trustedCaFile: settings.gateway.trustedCaFile, removedHeaders }),
    ],
  });
}

function sidecarListener(settings: SidecarBootstrap, own: Pick<HttpConnection, 'name' | 'listen' | 'setHeader'>): EnvoyConfig {
  return httpListener({
    ...own,
    maxRequestBytes: settings.maxRequestBytes,
    accessLog: settings.accessLog,
    ignorePort: true,
    httpFilters: authorizationFilters(settings),
    virtualHosts: [
      {
        name: 'sidecar',
        domains: checkedAuthorities(settings.authorities ?? ['localhost', '127.0.0.1', '[::1]']),
        request_body_buffer_limit: settings.maxRequestBytes, // less would silently drop the retry of a large body
        routes: [
          {
            name: 'gateway',
            match: { prefix: '/' },
            route: {
              cluster: 'gateway',
              host_rewrite_literal: settings.gateway.authority ?? settings.gateway.url.host,
              ...streamingTimeouts,
              // Only what the gateway cannot have seen: a retry repeats the nonce.
              retry_policy: { retry_on: 'connect-failure,refused-stream', num_retries: 2 },
            },
          },
        ],
      },
      { name: 'unknown_host', domains: ['*'], routes: [notFound()] },
    ],
  });
}
