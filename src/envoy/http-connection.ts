/**
 * The listener and HTTP connection manager of both roles (docs/threat-model.md group G): everything a client could use to make
 * the Check see another request than the upstream does is refused or folded here, before ext_authz runs.
 */
import { type EnvoyConfig, extension, socketAddress } from './envoy-config.ts';

export interface ListenAddress {
  /** IP address, `0.0.0.0`, `::` or a loopback address. */
  address: string;
  /** 0 lets the kernel choose; `startEnvoy` then tells which. */
  port: number;
}

/** PEM files of a certificate chain and its private key. */
export interface CertificateFiles {
  certificateFile: string;
  keyFile: string;
}

export interface HttpConnection {
  /** Name of the listener, its statistics and its route table. */
  name: string;
  listen: ListenAddress;
  tls?: CertificateFiles | undefined;
  maxRequestBytes: number;
  virtualHosts: EnvoyConfig[];
  /** Match hosts whatever their port: for a loopback listener, whose port is chosen late. */
  ignorePort?: boolean | undefined;
  /** Filters before the router, ext_authz last among them. */
  httpFilters: EnvoyConfig[];
  accessLog?: boolean | undefined;
  /** A header that every request of this listener gets, in place of the client's own, before the Check sees it. */
  setHeader?: { name: string; value: string } | undefined;
}

/** The RBAC policy of authorization-filter.ts, by which its reply is known here. */
export const uncheckedBodyPolicy = 'unchecked_body';

/** Hour-long generations with long silences must survive; the connection manager's own 60 s only guard streams without a route. */
export const streamingTimeouts: EnvoyConfig = { timeout: '0s', idle_timeout: '3600s' };

export const tlsVersions: EnvoyConfig = { tls_minimum_protocol_version: 'TLSv1_2', tls_maximum_protocol_version: 'TLSv1_3' };

export function tlsCertificate(files: CertificateFiles): EnvoyConfig {
  return { certificate_chain: { filename: files.certificateFile }, private_key: { filename: files.keyFile } };
}

const connectionManagerType = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** The hardened listener with one connection manager, `virtualHosts` as its route table and the router as its last filter. */
export function httpListener(connection: HttpConnection): EnvoyConfig {
  const filterChain: EnvoyConfig = {
    filters: [extension('envoy.filters.network.http_connection_manager', connectionManagerType, connectionManager(connection))],
  };
  if (connection.tls) filterChain.transport_socket = downstreamTls(connection.tls);
  return {
    name: connection.name,
    address: socketAddress(connection.listen.address, connection.listen.port),
    enable_reuse_port: false, // two Envoys on one port would silently answer each other's requests
    per_connection_buffer_limit_bytes: bufferLimit(connection.maxRequestBytes),
    filter_chains: [filterChain],
  };
}

/** What a connection may hold: the whole body that ext_authz waits for, and never less than Envoy's default of 1 MiB. */
export function bufferLimit(maxRequestBytes: number): number {
  return Math.max(1024 * 1024, maxRequestBytes);
}

function connectionManager(connection: HttpConnection): EnvoyConfig {
  return {
    stat_prefix: connection.name,
    use_remote_address: true,
    // Never `{}`: that would trust every private address with retry and routing headers.
    internal_address_config: { cidr_ranges: [{ address_prefix: '255.255.255.255', prefix_len: 32 }] },
    early_header_mutation_extensions: [mutateEarly(connection.setHeader)],
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'REJECT_REQUEST',
    scheme_header_transformation: { scheme_to_overwrite: 'https' },
    server_header_transformation: 'PASS_THROUGH', // a provider's own is passed on, ours is not announced
    request_headers_timeout: '5s',
    request_timeout: '30s', // the slow body, which no Check has seen yet
    stream_idle_timeout: '60s',
    common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' },
    http2_protocol_options: { max_concurrent_streams: 100 },
    route_config: {
      name: connection.name,
      ignore_port_in_host_matching: connection.ignorePort ?? false,
      virtual_hosts: connection.virtualHosts,
    },
    http_filters: [
      ...connection.httpFilters,
      extension('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router', { suppress_envoy_headers: true }),
    ],
    local_reply_config: { mappers: [uncheckedBodyReply, noCredentialReply, ...envoysOwnReplies].map(replyFor) },
    ...(connection.accessLog ? { access_log: [jsonAccessLog()] } : {}),
  };
}

/**
 * No client speaks to us as an Envoy does. Edge mode strips most `x-envoy-*`, but not `-auth-failure-mode-allowed` or
 * `-peer-metadata`; this runs before Envoy's own are added, and before the Check.
 */
const dropEnvoyHeaders: EnvoyConfig = { remove_on_match: { key_matcher: { prefix: 'x-envoy-', ignore_case: true } } };

function mutateEarly(header: HttpConnection['setHeader']): EnvoyConfig {
  // Envoy reads "%" as the begin of a variable.
  const set = header && { key: header.name, value: header.value.replaceAll('%', '%%') };
  return extension(
    'envoy.http.early_header_mutation.header_mutation',
    'envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation',
    {
      mutations: [
        structuredClone(dropEnvoyHeaders),
        ...(set ? [{ append: { header: set, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' } }] : []),
      ],
    },
  );
}

/** A reply of Envoy's own that must say something else to the client, or say it in the form of all other problems. */
interface LocalReply {
  /** CEL, over `response.code` and `response.code_details`. */
  when: string;
  status: number;
  title: string;
  detail: string;
  /** As the SDKs read it. */
  error: string;
}

/** RBAC can only answer 403, but the body was too large. */
const uncheckedBodyReply: LocalReply = {
  when: `response.code_details == 'rbac_access_denied_matched_policy[${uncheckedBodyPolicy}]'`,
  status: 413,
  title: 'Content Too Large',
  detail: 'The body is larger than is taken here.',
  error: 'invalid_request_error',
};

/** The injector's 401 would send the agent looking for a key of its own, when it is the gateway's that is missing. */
const noCredentialReply: LocalReply = {
  when: "response.code_details == 'failed_to_inject_credential'",
  status: 503,
  title: 'Provider Credential Missing',
  detail: 'The gateway has no key for this provider: its operator has to mend that.',
  error: 'api_error',
};

/** What Envoy refuses without a Check, or cannot pass on. A denial of the service is a local reply too, and stays as it is. */
const envoysOwnReplies: readonly LocalReply[] = (
  [
    [400, 'Bad Request', 'The request line or a header is one that is not taken here.', 'invalid_request_error'],
    [408, 'Request Timeout', 'The request did not arrive in time.', 'invalid_request_error'],
    [413, 'Content Too Large', 'The body is larger than is taken here.', 'invalid_request_error'],
    [
      431,
      'Request Header Fields Too Large',
      'There are more header fields, or longer ones, than are taken here.',
      'invalid_request_error',
    ],
    [503, 'Service Unavailable', 'The request could not be decided upon or passed on now: try again.', 'api_error'],
  ] as const
).map(([status, title, detail, error]) => ({
  when: `response.code == ${status} && response.code_details != 'ext_authz_denied'`,
  ...{ status, title, detail, error },
}));

function replyFor({ when, status, title, detail, error }: LocalReply): EnvoyConfig {
  const code = title.toLowerCase().replaceAll(' ', '-');
  const body = { type: 'about:blank', title, status, detail, error: { type: error, code, message: detail } };
  return {
    filter: {
      extension_filter: extension(
        'envoy.access_loggers.extension_filters.cel',
        'envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter',
        { expression: when },
      ),
    },
    status_code: status,
    ...(status === 503 && { headers_to_add: [{ header: { key: 'retry-after', value: '1' }, append_action: 'ADD_IF_ABSENT' }] }),
    body_format_override: {
      text_format_source: { inline_string: JSON.stringify(body) },
      content_type: 'application/problem+json',
    },
  };
}

function downstreamTls(files: CertificateFiles): EnvoyConfig {
  return extension('envoy.transport_sockets.tls', 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    common_tls_context: {
      tls_params: tlsVersions,
      alpn_protocols: ['h2', 'http/1.1'],
      tls_certificates: [tlsCertificate(files)],
    },
  });
}

/** No header but the path without its query: a query may carry a credential. */
function jsonAccessLog(): EnvoyConfig {
  return extension('envoy.access_loggers.stdout', 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog', {
    log_format: {
      json_format: {
        time: '%START_TIME%',
        method: '%REQ(:METHOD)%',
        authority: '%REQ(:AUTHORITY)%',
        path: '%PATH(NQ)%',
        protocol: '%PROTOCOL%',
        status: '%RESPONSE_CODE%',
        detail: '%RESPONSE_CODE_DETAILS%',
        flags: '%RESPONSE_FLAGS%',
        bytes_received: '%BYTES_RECEIVED%',
        bytes_sent: '%BYTES_SENT%',
        milliseconds: '%DURATION%',
        cluster: '%UPSTREAM_CLUSTER%',
        stream: '%STREAM_ID%',
      },
    },
  });
}
