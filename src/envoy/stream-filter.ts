/**
 * ext_proc, through which the service ends a response that runs (profile section 6). It stands in the providers' clusters, so that it
 * sees what ext_authz allowed and nothing else: a denial, or another reply of Envoy's own, never comes through it. Whatever goes
 * wrong here ends the response: nothing runs on unwatched.
 */
import { type AuthorizationService, authorizationServiceCluster } from './authorization-filter.ts';
import { type EnvoyConfig, extension } from './envoy-config.ts';

/** By itself, since every response that runs holds a place for as long as it lasts, which no Check may lack. */
export const streamCluster = 'agent_streams';

/** The longest response. */
const longest = '86400s';

/** Responses at once, all providers' together. */
const mostStreams = 65_536;

/** @param timeoutMillis for the service to say that a response may begin; then 503 */
export function streamFilter({ timeoutMillis }: { timeoutMillis: number }): EnvoyConfig {
  const filter = extension('envoy.filters.http.ext_proc', 'envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor', {
    failure_mode_allow: false,
    status_on_error: { code: 'ServiceUnavailable' },
    message_timeout: `${timeoutMillis / 1000}s`,
    grpc_service: { envoy_grpc: { cluster_name: streamCluster }, timeout: longest },
    processing_mode: {
      request_header_mode: 'SKIP',
      request_body_mode: 'NONE',
      request_trailer_mode: 'SKIP',
      response_header_mode: 'SEND',
      response_body_mode: 'NONE',
      // Without it there would be nothing more to say after the headers, and Envoy would close the call.
      response_trailer_mode: 'SEND',
    },
    // The service learns whose response it is, and of the response itself no more than the status; it can change nothing in it.
    metadata_options: { forwarding_namespaces: { untyped: ['envoy.filters.http.ext_authz'] } },
    forward_rules: { allowed_headers: { patterns: [{ exact: ':status' }] } },
    mutation_rules: { disallow_all: true, disallow_is_error: true },
    disable_immediate_response: true,
  });
  return unlessShort(filter);
}

/**
 * A response that says at its beginning that it has less than 100,000 bytes is there at once: a call for it would be in vain, and
 * would double what a request costs. No stream says how long it will be.
 */
function unlessShort(filter: EnvoyConfig): EnvoyConfig {
  const length = extension('content-length', 'envoy.type.matcher.v3.HttpResponseHeaderMatchInput', {
    header_name: 'content-length',
  });
  const isShort = {
    single_predicate: { input: length, value_match: { safe_regex: { google_re2: {}, regex: '[0-9]{1,5}' } } },
  };
  const skip = extension('skip', 'envoy.extensions.filters.common.matcher.action.v3.SkipFilter');
  return extension(String(filter.name), 'envoy.extensions.common.matching.v3.ExtensionWithMatcher', {
    extension_config: filter,
    xds_matcher: { matcher_list: { matchers: [{ predicate: isShort, on_match: { action: skip } }] } },
  });
}

/** The same service once more. */
export function streamServiceCluster(service: AuthorizationService): EnvoyConfig {
  return {
    ...authorizationServiceCluster(service),
    name: streamCluster,
    load_assignment: { ...(authorizationServiceCluster(service).load_assignment as EnvoyConfig), cluster_name: streamCluster },
    circuit_breakers: {
      thresholds: [{ max_connections: 1024, max_pending_requests: mostStreams, max_requests: mostStreams }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        // A service that is gone without a word could not end anything any more: what it watched over ends then.
        explicit_http_config: { http2_protocol_options: { connection_keepalive: { interval: '15s', timeout: '15s' } } },
      },
    },
  };
}
