/** A lint of what is rendered: each rule with its reason as the test's name, held in every variation. */
import { describe, expect, test } from 'vitest';
import { defaultGateway, defaultSidecar } from '../../src/envoy/default-bootstraps.ts';
import type { EnvoyBootstrap, EnvoyConfig } from '../../src/envoy/envoy-config.ts';
import { gatewayBootstrap } from '../../src/envoy/gateway-bootstrap.ts';
import { sidecarBootstrap } from '../../src/envoy/sidecar-bootstrap.ts';
import { variations } from './variations.ts';

/** Every value that stands under `field`, at any depth. */
function all(value: unknown, field: string): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [...(key === field ? [inner] : []), ...all(inner, field)]);
}

/** Every typed configuration of an extension, at any depth, by the last part of its type. */
function typed(value: unknown, type: string): EnvoyConfig[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = '@type' in value && String(value['@type']).endsWith(`.${type}`) ? [value as EnvoyConfig] : [];
  return [...own, ...Object.values(value).flatMap((inner) => typed(inner, type))];
}

function only<T>(values: T[]): T {
  const [value] = values;
  if (values.length !== 1 || value === undefined) throw new Error(`expected one, found ${values.length}`);
  return value;
}

const files = { certificateFile: '/c.crt', keyFile: '/c.key', trustedCaFile: '/ca.crt' };
const routesOf = (bootstrap: unknown) => all(bootstrap, 'routes').flat() as EnvoyConfig[];
const forwarding = (bootstrap: unknown) => routesOf(bootstrap).filter((route) => 'route' in route);

/** Each listener by itself, with all that stands beside listeners: what holds must hold for every one. */
function byListener([name, bootstrap]: [string, EnvoyBootstrap]): [string, EnvoyBootstrap][] {
  const { listeners } = bootstrap.static_resources;
  return listeners.map((listener) => [
    listeners.length === 1 ? name : `${name}: ${listener.name}`,
    { ...bootstrap, static_resources: { ...bootstrap.static_resources, listeners: [listener] } },
  ]);
}

describe.each(Object.entries(variations(files)).flatMap(byListener))('%s', (name, bootstrap) => {
  const manager = only(typed(bootstrap, 'HttpConnectionManager'));
  const authorization = only(typed(bootstrap, 'ExtAuthz'));
  const isGateway = name.startsWith('gateway');

  test.each([
    ['request_mirror_policies', 'a mirror would receive what the agent sent'],
    ['request_mirror_policy', 'a mirror would receive what the agent sent'],
    ['upgrade_configs', 'bytes after an upgrade are in no Check'],
    ['connect_config', 'a CONNECT tunnel is in no Check'],
    ['internal_redirect_policy', 'a redirect would carry the key to another host'],
    ['redirect', 'a redirect would carry the signed call elsewhere'],
    ['accept_http_10', 'HTTP/1.0 has no host that can be signed'],
    ['enable_trailers', 'trailers are invisible to the Check'],
    ['typed_per_filter_config', 'no route may switch ext_authz or its body buffering off'],
    ['typed_per_route_config', 'no route may switch ext_authz off'],
    ['filter_enabled', 'a runtime value of 0 would allow everything'],
    ['filter_enabled_metadata', 'metadata could switch the Check off'],
    ['shadow_mode', 'it never blocks'],
    ['disabled', 'no filter may be switched off'],
    ['http_service', 'its errors were not closed for gRPC traffic'],
    ['failure_mode_allow_header_add', 'it only matters when failing open'],
    ['hedge_policy', 'one Check stands for one attempt'],
    ['weighted_clusters', 'a request goes where its path says'],
    ['cluster_header', 'a client would choose the upstream'],
    ['headers', 'no route may be chosen by a header of the client'],
    ['regex_rewrite', 'what was signed is what is sent'],
  ])('has no %s: %s', (field) => {
    expect(all(bootstrap, field)).toEqual([]);
  });

  test('fails closed with 503, so that an outage does not look like a denial', () => {
    expect(authorization.failure_mode_allow).toBe(false);
    expect(authorization.status_on_error).toEqual({ code: 'ServiceUnavailable' });
  });

  test('the Check has the whole body as bytes and every header line', () => {
    expect(authorization.with_request_body).toMatchObject({ allow_partial_message: false, pack_as_bytes: true });
    expect(authorization.encode_raw_headers).toBe(true);
  });

  test('the service can change neither path, host nor method, and no bad header', () => {
    expect(authorization.decoder_header_mutation_rules).toEqual({ disallow_system: true, disallow_is_error: true });
    expect(authorization.validate_mutations).toBe(true);
    expect(authorization.clear_route_cache).toBe(false);
  });

  test('deny replies are bounded', () => {
    expect(authorization.max_denied_response_body_bytes).toBe(4096);
    expect(authorization.enforce_response_header_limits).toBe(true);
  });

  test('a Check is repeated on another connection, by the policy the data plane reads', () => {
    const service = authorization.grpc_service as EnvoyConfig;
    expect(service.retry_policy).toMatchObject({ retry_on: 'unavailable,reset,connect-failure,refused-stream', num_retries: 2 });
    expect(service.timeout).toBe('0.8s');
    expect(all(service.envoy_grpc, 'retry_policy')).toEqual([]);
  });

  test('ext_authz is first; behind it stand only the body backstop and the router', () => {
    const names = (manager.http_filters as EnvoyConfig[]).map((filter) => filter.name);
    expect(names).toEqual(['envoy.filters.http.ext_authz', 'envoy.filters.http.rbac', 'envoy.filters.http.router']);
  });

  test('the body backstop has the same limit as the Check: Envoy forwards a partial body over HTTP/2', () => {
    const { max_request_bytes: limit } = authorization.with_request_body as EnvoyConfig;
    const rbac = only(typed(bootstrap, 'RBAC'));
    expect(all(rbac, 'action')).toEqual(['DENY']);
    expect(all(rbac, 'int64_value')).toEqual([limit]);
    const buffers = all(bootstrap.static_resources.listeners, 'per_connection_buffer_limit_bytes');
    expect(Number(only(buffers))).toBeGreaterThanOrEqual(Number(limit));
  });

  test('no peer is internal, never {}: private addresses would be trusted with retry and routing headers', () => {
    expect(manager.use_remote_address).toBe(true);
    expect(manager.internal_address_config).toEqual({ cidr_ranges: [{ address_prefix: '255.255.255.255', prefix_len: 32 }] });
  });

  test('x-envoy-* from clients is dropped before the Check', () => {
    expect(all(manager.early_header_mutation_extensions, 'key_matcher')).toEqual([{ prefix: 'x-envoy-', ignore_case: true }]);
  });

  test('a path has one spelling, underscores and escaped slashes are refused, @scheme is ours', () => {
    expect(manager).toMatchObject({
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: 'REJECT_REQUEST',
      scheme_header_transformation: { scheme_to_overwrite: 'https' },
      common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' },
    });
  });

  test('slow clients and many streams are bounded', () => {
    expect(manager).toMatchObject({ request_headers_timeout: '5s', request_timeout: '30s', stream_idle_timeout: '60s' });
    expect(manager.http2_protocol_options).toEqual({ max_concurrent_streams: 100 });
    expect(Number(only(all(bootstrap.overload_manager, 'max_active_downstream_connections')))).toBeGreaterThan(0);
  });

  test('an hour of generation and of silence survives: no route timeout under an hour', () => {
    for (const route of forwarding(bootstrap)) expect(route.route).toMatchObject({ timeout: '0s', idle_timeout: '3600s' });
    expect(all(bootstrap, 'max_stream_duration')).toEqual([]);
  });

  test('a wildcard domain forwards nothing, and an unknown path or host is still checked and recorded', () => {
    const hosts = all(manager, 'virtual_hosts').flat() as EnvoyConfig[];
    for (const host of hosts) {
      const domains = host.domains as string[];
      if (domains.some((domain) => domain.includes('*'))) expect(forwarding({ routes: host.routes })).toEqual([]);
      expect((host.routes as EnvoyConfig[]).at(-1)?.match).toEqual({ prefix: '/' });
    }
    expect(hosts.map((host) => host.domains)).toContainEqual(['*']);
  });

  test('the port is shared with no other Envoy', () => {
    for (const listener of bootstrap.static_resources.listeners) expect(listener.enable_reuse_port).toBe(false);
  });

  test('the admin interface is a Unix socket of its owner (H12)', () => {
    expect(bootstrap.admin.address).toEqual({ pipe: { path: expect.stringMatching(/admin\.sock$/), mode: 0o600 } });
  });

  test('upstream certificates are verified against a CA and a name, from TLS 1.2 on', () => {
    for (const context of typed(bootstrap, 'UpstreamTlsContext')) {
      expect(all(context, 'trusted_ca')).toEqual([{ filename: expect.stringMatching(/./) }]);
      expect((only(all(context, 'match_typed_subject_alt_names')) as object[]).length).toBeGreaterThan(0);
      expect(all(context, 'trust_chain_verification')).toEqual([]);
      expect(all(context, 'tls_maximum_protocol_version')).toEqual(['TLSv1_3']);
    }
    for (const params of all(bootstrap, 'tls_params')) expect(params).toMatchObject({ tls_minimum_protocol_version: 'TLSv1_2' });
  });

  test('Envoy tells nobody that it is Envoy', () => {
    expect(only(typed(bootstrap, 'http.router.v3.Router')).suppress_envoy_headers).toBe(true);
    expect(manager.server_header_transformation).toBe('PASS_THROUGH');
    for (const mutation of typed(bootstrap, 'http.header_mutation.v3.HeaderMutation').filter(
      (one) => 'request_mutations' in (one.mutations as object),
    )) {
      expect(all(mutation, 'key_matcher')).toContainEqual({ prefix: 'x-envoy-', ignore_case: true });
    }
  });

  test('the host a server sees is its own, and no other part of a request is rewritten on the sidecar', () => {
    for (const route of forwarding(bootstrap)) {
      expect(all(route, 'host_rewrite_literal')).toHaveLength(1);
      if (!isGateway) expect(all(route, 'prefix_rewrite')).toEqual([]);
    }
  });

  test('retries: none to a provider; the sidecar repeats only what the gateway cannot have seen (profile section 9)', () => {
    const policies = routesOf(bootstrap).flatMap((route) => all(route, 'retry_policy'));
    expect(policies).toEqual(isGateway ? [] : [{ retry_on: 'connect-failure,refused-stream', num_retries: 2 }]);
  });

  test('a response runs only while the service watches over it, which can end it and change nothing in it (profile section 6)', () => {
    const filters = typed(bootstrap, 'ExternalProcessor');
    const watched = isGateway && !name.includes('cuts nothing');
    expect(filters).toHaveLength(watched ? forwarding(bootstrap).length : 0);
    for (const filter of filters) {
      expect(filter).toMatchObject({
        failure_mode_allow: false,
        status_on_error: { code: 'ServiceUnavailable' },
        mutation_rules: { disallow_all: true, disallow_is_error: true },
        disable_immediate_response: true,
        forward_rules: { allowed_headers: { patterns: [{ exact: ':status' }] } },
        message_timeout: authorization.grpc_service && (authorization.grpc_service as EnvoyConfig).timeout,
      });
      expect(filter.processing_mode).toEqual({
        request_header_mode: 'SKIP',
        request_body_mode: 'NONE',
        request_trailer_mode: 'SKIP',
        response_header_mode: 'SEND',
        response_body_mode: 'NONE',
        response_trailer_mode: 'SEND',
      });
      const service = filter.grpc_service as EnvoyConfig;
      expect(service.envoy_grpc).toEqual({ cluster_name: 'agent_streams' });
      expect(Number.parseInt(String(service.timeout), 10)).toBeGreaterThan(12 * 3600);
      for (const open of ['observability_mode', 'allow_mode_override', 'max_message_timeout'])
        expect(all(filter, open)).toEqual([]);
    }
    // Nothing but a length that is known and small lets a response pass unwatched.
    for (const { xds_matcher: matcher } of typed(bootstrap, 'ExtensionWithMatcher')) {
      expect(all(matcher, 'header_name')).toEqual(['content-length']);
      expect(all(matcher, 'regex')).toEqual(['[0-9]{1,5}']);
      expect(all(matcher, 'on_no_match')).toEqual([]);
    }
  });

  test('a provider gets its key in its own cluster, last, over anything a client sent, or nothing', () => {
    const clusters = bootstrap.static_resources.clusters.filter((cluster) => String(cluster.name).startsWith('provider_'));
    expect(clusters).toHaveLength(forwarding(bootstrap).length - (isGateway ? 0 : 1));
    for (const cluster of clusters) {
      const filters = only(all(cluster, 'http_filters')) as EnvoyConfig[];
      expect(filters.map((filter) => filter.name)).toEqual([
        'envoy.filters.http.header_mutation',
        ...(name.includes('cuts nothing') ? [] : ['envoy.filters.http.ext_proc']),
        'envoy.filters.http.credential_injector',
        'envoy.filters.http.upstream_codec',
      ]);
      expect(only(typed(cluster, 'CredentialInjector'))).toMatchObject({
        overwrite: true,
        allow_request_without_credential: false,
      });
      const removed = all(cluster, 'key_matcher').map((matcher) => Object.values(matcher as object)[0]);
      const mustGo = [
        'authorization',
        'x-api-key',
        'cookie',
        'x-forwarded-',
        'x-request-id',
        'via',
        'agent-',
        'signature',
        'content-digest',
      ];
      expect(removed).toEqual(expect.arrayContaining(mustGo));
    }
    expect(typed(bootstrap.static_resources.listeners, 'CredentialInjector')).toEqual([]);
  });

  test('an access log names no header, query or body', () => {
    for (const format of all(manager.access_log, 'json_format')) {
      expect(JSON.stringify(format)).not.toMatch(/REQ\((?!:METHOD|:AUTHORITY)|RESP\(|%PATH\((?!NQ\))/);
    }
  });
});

describe('settings that cannot be meant are refused, by name', () => {
  const [openai] = defaultGateway.providers;
  if (!openai) throw new Error('the default gateway has a provider');
  const gateway = (change: object) => () => gatewayBootstrap({ ...defaultGateway, ...change });
  const provider = (change: object) => gateway({ providers: [{ ...openai, ...change }] });
  const sidecar = (url: string) => () => sidecarBootstrap({ ...defaultSidecar, gateway: { url: new URL(url) } });

  test.each([
    ['a wildcard authority', gateway({ authorities: ['*'] }), /authorities/],
    ['a wildcard label', gateway({ authorities: ['*.example'] }), /authorities/],
    ['no authority', gateway({ authorities: [] }), /authorities/],
    ['a prefix without a slash at its end', provider({ prefix: '/openai' }), /prefix/],
    ['the root as a prefix', provider({ prefix: '/' }), /prefix/],
    ['one prefix under another', gateway({ providers: [openai, { ...openai, name: 'other', prefix: '/openai/x/' }] }), /hides/],
    ['a provider twice', gateway({ providers: [openai, { ...openai, prefix: '/other/' }] }), /twice/],
    ['an upstream with a query', provider({ upstream: new URL('https://a.example/?key=1') }), /query/],
    ['an upstream of another scheme', provider({ upstream: new URL('ftp://a.example/') }), /http or https/],
    ['a credential header that is none', provider({ credential: { header: 'a b', prefix: '' } }), /credential\.header/],
    ['a far service without TLS', gateway({ authorizationService: { address: 'authz.example', port: 1 } }), /no tls/],
    [
      'a service of any name',
      gateway({ authorizationService: { address: 'authz.example', port: 1, tls: { ...files, serverNames: [] } } }),
      /serverNames/,
    ],
    ['a gateway with a path: what is signed is what is sent', sidecar('https://gateway.example/v1'), /path/],
    ['a gateway of another scheme', sidecar('ftp://gateway.example/'), /http or https/],
  ])('%s', (_what, render, message) => {
    expect(render).toThrow(message);
  });
});
