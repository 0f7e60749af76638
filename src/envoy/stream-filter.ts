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
const LONGEST = '86400s';

/** @param timeoutMillis for the service to say that a response may begin; then 503 */
export function streamFilter({ timeoutMillis }: { timeoutMillis: number }): EnvoyConfig {
  return extension('envoy.filters.http.ext_proc', 'envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor', {
    failure_mode_allow: false,
    status_on_error: { code: 'ServiceUnavailable' },
    message_timeout: `${timeoutMillis / 1000}s`,
    grpc_service: { envoy_grpc: { cluster_name: streamCluster }, timeout: LONGEST },
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
}

/** The same service once more. */
export function streamServiceCluster(service: AuthorizationService): EnvoyConfig {
  return { ...authorizationServiceCluster(service), name: streamCluster };
}
