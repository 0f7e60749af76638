/**
 * ext_authz and the cluster of our service behind it, the same for both roles (docs/threat-model.md, what Envoy does).
 * Whatever goes wrong here ends in 503 without an upstream request: nothing fails open.
 */
import { bareHost, type EnvoyConfig, extension, socketAddress } from './envoy-config.ts';
import { type CertificateFiles, tlsCertificate, tlsVersions, uncheckedBodyPolicy } from './http-connection.ts';
import { subjectAltNames } from './upstream-cluster.ts';

/** Where the service listens: a Unix socket beside Envoy, or a port. A port beyond loopback needs `tls`. */
export type AuthorizationService = { unixSocket: string } | AuthorizationEndpoint;

export interface AuthorizationEndpoint {
  /** Host name or IP address; a name's every address is an endpoint. */
  address: string;
  port: number;
  /** Mutual TLS: our certificate, the CA of theirs, and the names (DNS, `spiffe://` or IP) of which theirs must carry one. */
  tls?: CertificateFiles & { trustedCaFile: string; serverNames: string[] };
}

export interface AuthorizationFilter {
  maxRequestBytes: number;
  /** Milliseconds for one Check, its repetitions included. */
  timeoutMillis: number;
}

export const authorizationCluster = 'agent_authz';

/** A rule of its own: a stranger between Envoy and the service could answer "allow" in its place. */
export function assertPrivate(service: AuthorizationService): void {
  if ('unixSocket' in service || service.tls) return;
  if (/^(127\.\d+\.\d+\.\d+|::1|\[::1\]|localhost)$/.test(service.address)) return;
  throw new Error(`authorizationService ${service.address}:${service.port} is not on loopback and has no tls: give it one`);
}

/** The filters of both roles: ext_authz, and the backstop behind it. */
export function authorizationFilters(settings: AuthorizationFilter): EnvoyConfig[] {
  return [authorizationFilter(settings), refuseUncheckedBody(settings.maxRequestBytes)];
}

/**
 * Over HTTP/2, when the last frame carries a body past the limit, Envoy 1.40 does not answer 413 in spite of `allow_partial_message:
 * false`: the Check gets the first N bytes, marked `x-envoy-auth-partial-body: true`, and an allow forwards up to a frame (16 KiB) that
 * nobody verified. The service denies that too; this holds should it ever not. It runs after the Check, when the whole body
 * has been counted; it cannot look at the mark, which stands in the Check alone.
 */
function refuseUncheckedBody(maxRequestBytes: number): EnvoyConfig {
  const size = { select_expr: { operand: { ident_expr: { name: 'request' } }, field: 'size' } };
  const tooLarge = { call_expr: { function: '_>_', args: [size, { const_expr: { int64_value: maxRequestBytes } }] } };
  return extension('envoy.filters.http.rbac', 'envoy.extensions.filters.http.rbac.v3.RBAC', {
    rules: {
      action: 'DENY',
      policies: { [uncheckedBodyPolicy]: { permissions: [{ any: true }], principals: [{ any: true }], condition: tooLarge } },
    },
  });
}

function authorizationFilter(settings: AuthorizationFilter): EnvoyConfig {
  return extension('envoy.filters.http.ext_authz', 'envoy.extensions.filters.http.ext_authz.v3.ExtAuthz', {
    transport_api_version: 'V3',
    failure_mode_allow: false,
    status_on_error: { code: 'ServiceUnavailable' },
    validate_mutations: true,
    encode_raw_headers: true,
    clear_route_cache: false,
    include_peer_certificate: true,
    include_tls_session: true,
    emit_filter_state_stats: true,
    max_denied_response_body_bytes: 4096,
    enforce_response_header_limits: true,
    with_request_body: { max_request_bytes: settings.maxRequestBytes, allow_partial_message: false, pack_as_bytes: true },
    decoder_header_mutation_rules: { disallow_system: true, disallow_is_error: true },
    grpc_service: {
      envoy_grpc: { cluster_name: authorizationCluster },
      timeout: seconds(settings.timeoutMillis),
      // Only this one is read on the data plane, EnvoyGrpc's own is not. The Check is repeated as it was.
      retry_policy: { retry_on: 'unavailable,reset,connect-failure,refused-stream', num_retries: 2 },
    },
  });
}

/** The cluster `agent_authz`: HTTP/2, health-checked where there may be more than one endpoint to choose from. */
export function authorizationServiceCluster(service: AuthorizationService): EnvoyConfig {
  assertPrivate(service);
  const cluster: EnvoyConfig = {
    name: authorizationCluster,
    connect_timeout: '0.5s',
    circuit_breakers: {
      thresholds: [{ max_connections: 1024, max_pending_requests: 8192, max_requests: 8192, max_retries: 64 }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  if ('unixSocket' in service) {
    return { ...cluster, type: 'STATIC', load_assignment: endpoints({ pipe: { path: service.unixSocket } }) };
  }
  return {
    ...cluster,
    type: 'STRICT_DNS',
    dns_lookup_family: 'ALL',
    load_assignment: endpoints(socketAddress(service.address, service.port)),
    health_checks: [
      {
        timeout: '1s',
        interval: '1s',
        no_traffic_interval: '5s',
        unhealthy_threshold: 2,
        healthy_threshold: 1,
        grpc_health_check: {},
      },
    ],
    outlier_detection: { consecutive_5xx: 5, interval: '1s', base_ejection_time: '5s', max_ejection_percent: 50 },
    ...(service.tls ? { transport_socket: mutualTls(service.tls) } : {}),
  };
}

function endpoints(address: EnvoyConfig): EnvoyConfig {
  return { cluster_name: authorizationCluster, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] };
}

function mutualTls(tls: NonNullable<AuthorizationEndpoint['tls']>): EnvoyConfig {
  if (tls.serverNames.length === 0)
    throw new Error('authorizationService.tls.serverNames is empty: any certificate of the CA would do');
  const sni = tls.serverNames.find((name) => subjectAltNames([name]).some((san) => san.san_type === 'DNS'));
  return extension('envoy.transport_sockets.tls', 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    ...(sni ? { sni: bareHost(sni) } : {}),
    common_tls_context: {
      tls_params: tlsVersions,
      alpn_protocols: ['h2'],
      tls_certificates: [tlsCertificate(tls)],
      validation_context: {
        trusted_ca: { filename: tls.trustedCaFile },
        match_typed_subject_alt_names: subjectAltNames(tls.serverNames),
      },
    },
  });
}

function seconds(millis: number): string {
  return `${millis / 1000}s`;
}
