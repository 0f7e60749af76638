// One Envoy with one worker and a listener for each system. Ours is the gateway's own hardened listener; the others are the same
// listener with other filters, and all route to the same upstream: a further listener that answers by itself, the cheapest there is.

import { join } from 'node:path';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { authorizationServiceCluster } from '../../src/envoy/authorization-filter.ts';
import { credentialFile } from '../../src/envoy/credential-file.ts';
import { type EnvoyConfig, extension } from '../../src/envoy/envoy-config.ts';
import { gatewayBootstrap } from '../../src/envoy/gateway-bootstrap.ts';
import { httpListener } from '../../src/envoy/http-connection.ts';
import type { EnvoyLocation } from '../../src/envoy/locate-envoy.ts';
import type { RunningEnvoy } from '../../src/envoy/run-envoy.ts';
import { startEnvoy } from '../../src/envoy/run-envoy.ts';
import { GATEWAY_NAME } from './credentials.ts';
import { providerKeyFile, serviceSocket } from './hermesbridge.ts';

export interface BenchEnvoySettings {
  /** Whether our responses are watched over, as by default; those of the others never are. */
  readonly cutStreams?: boolean | undefined;
  readonly envoy: EnvoyLocation;
  readonly directory: string;
  /** Port of the upstream that streams. */
  readonly streamPort: number;
  readonly jwks: string;
  readonly sockets: { readonly okOnly: string; readonly opaEnvoy: string };
}

const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
const ANSWER =
  '{"id":"chatcmpl-bench","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"OK"}}]}';

/** The part of a rendered listener that changes from system to system. */
type Listener = EnvoyConfig & {
  name: string;
  filter_chains: [{ filters: [{ typed_config: { stat_prefix: string; http_filters: EnvoyConfig[]; route_config: Routes } }] }];
};

interface Routes {
  virtual_hosts: { routes: { route?: { cluster: string } }[] }[];
}

/** Ports by listener: gateway, ok-only, opa-envoy, jwt_authn, plain. */
export async function startBenchEnvoy(settings: BenchEnvoySettings): Promise<RunningEnvoy> {
  const { directory } = settings;
  const upstreamPort = await freePort();
  const providers = [];
  for (const [name, port] of [['openai', upstreamPort] as const, ['streaming', settings.streamPort] as const]) {
    const sdsFile = join(directory, `${name}.yaml`);
    const { close } = await credentialFile({ name, source: { file: providerKeyFile(directory) }, sdsFile });
    await close();
    const credential = { header: 'authorization', prefix: 'Bearer ' };
    providers.push({ name, prefix: `/${name}/`, upstream: new URL(`http://127.0.0.1:${port}/`), sdsFile, credential });
  }
  const bootstrap = gatewayBootstrap({
    listen: { address: '127.0.0.1', port: 0 },
    authorities: [GATEWAY_NAME],
    maxRequestBytes: MAX_REQUEST_BYTES,
    authorizationService: { unixSocket: serviceSocket(directory) },
    admin: { unixSocket: join(directory, 'admin.sock') },
    timeoutMillis: 10_000, // the service's own deadline comes first
    cutStreams: settings.cutStreams ?? true,
    providers,
  });
  const { listeners, clusters } = bootstrap.static_resources;
  const gateway = listeners[0] as Listener;
  const [authorization, ...behind] = filtersOf(gateway);
  const router = behind.at(-1);
  if (authorization === undefined || router === undefined) throw new Error('the gateway has no filters');
  listeners.push(
    variant(gateway, 'ok-only', [retarget(authorization, 'ok_only', {}), ...behind]),
    variant(gateway, 'opa-envoy', [retarget(authorization, 'opa_envoy', FOR_OPA), ...behind]),
    variant(gateway, 'jwt_authn', [jwtAuthn(settings.jwks), router]),
    variant(gateway, 'plain', [router]),
    upstreamListener(upstreamPort),
  );
  clusters.push(
    ...clusters.filter(({ name }) => String(name).startsWith('provider_')).map(unwatched),
    { ...authorizationServiceCluster({ unixSocket: settings.sockets.okOnly }), ...clusterAt('ok_only', settings.sockets.okOnly) },
    {
      ...authorizationServiceCluster({ unixSocket: settings.sockets.opaEnvoy }),
      ...clusterAt('opa_envoy', settings.sockets.opaEnvoy),
    },
  );
  return startEnvoy({ bootstrap, directory, envoy: settings.envoy, concurrency: 1 });
}

/** OPA parses the body by itself, out of text, and reads the joined headers. */
const FOR_OPA: EnvoyConfig = {
  encode_raw_headers: false,
  with_request_body: { max_request_bytes: MAX_REQUEST_BYTES, allow_partial_message: false, pack_as_bytes: false },
};

function filtersOf(listener: Listener): EnvoyConfig[] {
  return listener.filter_chains[0].filters[0].typed_config.http_filters;
}

function variant(listener: Listener, name: string, filters: EnvoyConfig[]): Listener {
  const copy = structuredClone(listener);
  copy.name = name;
  const { virtual_hosts: hosts } = copy.filter_chains[0].filters[0].typed_config.route_config;
  for (const route of hosts.flatMap(({ routes }) => routes))
    if (route.route) route.route.cluster = `unwatched_${route.route.cluster}`;
  copy.filter_chains[0].filters[0].typed_config.stat_prefix = name;
  copy.filter_chains[0].filters[0].typed_config.http_filters = filters;
  return copy;
}

/** A provider for the other systems: the same cluster without the filter through which our service watches over responses. */
function unwatched(cluster: EnvoyConfig): EnvoyConfig {
  const text = JSON.stringify({ ...cluster, name: `unwatched_${cluster.name}` }, (key, value) =>
    key === 'http_filters' ? (value as EnvoyConfig[]).filter(({ name }) => name !== 'envoy.filters.http.ext_proc') : value,
  );
  return JSON.parse(text) as EnvoyConfig;
}

function retarget(filter: EnvoyConfig, cluster: string, changes: EnvoyConfig): EnvoyConfig {
  const copy = structuredClone(filter) as { typed_config: EnvoyConfig & { grpc_service: EnvoyConfig } };
  copy.typed_config.grpc_service.envoy_grpc = { cluster_name: cluster };
  return { ...copy, typed_config: { ...copy.typed_config, ...changes } };
}

function clusterAt(name: string, socket: string): EnvoyConfig {
  const endpoint = { address: { pipe: { path: socket } } };
  return { name, load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] } };
}

function jwtAuthn(jwks: string): EnvoyConfig {
  return extension('envoy.filters.http.jwt_authn', 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication', {
    providers: { bench: { issuer: 'bench', audiences: ['gw'], local_jwks: { inline_string: jwks } } },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'bench' } }],
  });
}

function upstreamListener(port: number): EnvoyConfig {
  // Without it the answer would come before the body, and Envoy would give up the connection each time.
  const wholeBody = extension('envoy.filters.http.buffer', 'envoy.extensions.filters.http.buffer.v3.Buffer', {
    max_request_bytes: MAX_REQUEST_BYTES,
  });
  const answer = { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: ANSWER } } };
  return httpListener({
    name: 'upstream',
    listen: { address: '127.0.0.1', port },
    maxRequestBytes: MAX_REQUEST_BYTES,
    httpFilters: [wholeBody],
    virtualHosts: [{ name: 'upstream', domains: ['*'], routes: [answer] }],
  });
}
