/**
 * A cluster for one http or https URL: a provider, or the gateway as the sidecar sees it. Its upstream filters are the last to touch
 * a request, so here goes what must not leave (profile section 7) and here comes the credential.
 */
import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { bareHost, type EnvoyConfig, extension, socketAddress } from './envoy-config.ts';
import { tlsVersions } from './http-connection.ts';

export interface UpstreamCluster {
  name: string;
  url: URL;
  /** PEM bundle that the upstream's certificate must chain to; the operating system's when absent. */
  trustedCaFile?: string | undefined;
  /** Names (or, ending in `*`, name prefixes) of request headers that never leave. */
  removedHeaders: string[];
  /** Filters after the removal, before the codec. */
  upstreamFilters?: EnvoyConfig[];
}

/** Debian, Ubuntu, Alpine and Envoy's image; macOS, BSD; RHEL, Fedora, Amazon Linux. */
const operatingSystemBundles = ['/etc/ssl/certs/ca-certificates.crt', '/etc/ssl/cert.pem', '/etc/pki/tls/certs/ca-bundle.crt'];

/** The operating system's CA bundle. Throws where none of the usual places has one. */
export function operatingSystemCaFile(): string {
  const found = operatingSystemBundles.find((file) => existsSync(file));
  if (!found) throw new Error(`no CA bundle found (looked at ${operatingSystemBundles.join(', ')}): set trustedCaFile`);
  return found;
}

export function upstreamCluster(settings: UpstreamCluster): EnvoyConfig {
  const { url } = settings;
  const https = url.protocol === 'https:';
  const numeric = isIP(bareHost(url.hostname)) !== 0;
  return {
    name: settings.name,
    connect_timeout: '5s',
    ...(numeric ? { type: 'STATIC' } : { cluster_type: logicalDns() }),
    load_assignment: {
      cluster_name: settings.name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(url.hostname, portOf(url)) } }] }],
    },
    // A stream holds its place for as long as a generation lasts, so the default of 1024 is soon used up.
    circuit_breakers: { thresholds: [{ max_connections: 8192, max_pending_requests: 8192, max_requests: 8192 }] },
    upstream_connection_options: { tcp_keepalive: { keepalive_time: 60, keepalive_interval: 15, keepalive_probes: 4 } },
    ...(https ? { transport_socket: upstreamTls(url, settings.trustedCaFile ?? operatingSystemCaFile()) } : {}),
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        // Idle connections go before the other side drops them: a request sent into a closing one is lost, not retried.
        common_http_protocol_options: { idle_timeout: '50s' },
        ...(https
          ? { auto_config: { http_protocol_options: {}, http2_protocol_options: {} } }
          : { explicit_http_config: { http_protocol_options: {} } }),
        http_filters: [
          removal(settings.removedHeaders),
          ...(settings.upstreamFilters ?? []),
          extension('envoy.filters.http.upstream_codec', 'envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec'),
        ],
      },
    },
  };
}

/** Matchers of which a certificate must satisfy one: URIs (SPIFFE), IP addresses and DNS names, wildcard certificates included. */
export function subjectAltNames(names: string[]): { san_type: string; matcher: { exact: string } }[] {
  return names.map((name) => {
    const bare = bareHost(name);
    return { san_type: bare.includes('://') ? 'URI' : isIP(bare) ? 'IP_ADDRESS' : 'DNS', matcher: { exact: bare } };
  });
}

/** One logical endpoint: an address that leaves the DNS answer must not end the streams that run on it. `ALL` is happy eyeballs. */
function logicalDns(): EnvoyConfig {
  return extension('envoy.clusters.dns', 'envoy.extensions.clusters.dns.v3.DnsCluster', {
    all_addresses_in_single_endpoint: true,
    dns_lookup_family: 'ALL',
    respect_dns_ttl: true,
  });
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

function upstreamTls(url: URL, trustedCaFile: string): EnvoyConfig {
  const host = bareHost(url.hostname);
  return extension('envoy.transport_sockets.tls', 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    ...(isIP(host) ? {} : { sni: host }),
    common_tls_context: {
      tls_params: tlsVersions, // Envoy's default as a client stops at TLS 1.2
      validation_context: { trusted_ca: { filename: trustedCaFile }, match_typed_subject_alt_names: subjectAltNames([host]) },
    },
  });
}

function removal(names: string[]): EnvoyConfig {
  const mutations = names.map((name) => {
    const matcher = name.endsWith('*') ? { prefix: name.slice(0, -1) } : { exact: name };
    return { remove_on_match: { key_matcher: { ...matcher, ignore_case: true } } };
  });
  return extension('envoy.filters.http.header_mutation', 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation', {
    mutations: { request_mutations: mutations },
  });
}
