/**
 * The shape of a rendered Envoy v3 bootstrap: plain JSON in Envoy's own field names. Only what other files of this
 * folder read back (the admin socket, the listeners' names) is typed closer; Envoy itself checks the rest.
 */

export type EnvoyValue = string | number | boolean | EnvoyValue[] | EnvoyConfig;

export interface EnvoyConfig {
  [field: string]: EnvoyValue;
}

/** A complete bootstrap. It can be written as JSON or as YAML, and can be cloned: it shares nothing with the settings. */
export interface EnvoyBootstrap extends EnvoyConfig {
  node: { id: string; cluster: string };
  admin: { address: { pipe: { path: string; mode: number } }; ignore_global_conn_limit: boolean };
  static_resources: { listeners: EnvoyConfig[]; clusters: EnvoyConfig[] };
  overload_manager: EnvoyConfig;
}

/** An extension as Envoy wants it everywhere: a name to read and a type URL that decides. */
export function extension(name: string, type: string, config: EnvoyConfig = {}): EnvoyConfig {
  return { name, typed_config: { '@type': `type.googleapis.com/${type}`, ...config } };
}

/** `host` as it stands in a URL (`[::1]` has brackets) to what Envoy's `socket_address` takes. */
export function bareHost(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

export function socketAddress(address: string, port: number): EnvoyConfig {
  return { socket_address: { address: bareHost(address), port_value: port } };
}

export interface BootstrapParts {
  /** `node.id`: who this Envoy is, in logs and in statistics. */
  id: string;
  adminSocket: string;
  listeners: EnvoyConfig[];
  clusters: EnvoyConfig[];
  /** Connections over all listeners; further ones are refused, since each may hold buffered bodies. */
  maxConnections: number;
}

/** The frame both roles share. The admin interface is only ever a Unix socket for the owner: agents must not reach it (H12). */
export function bootstrapOf(parts: BootstrapParts): EnvoyBootstrap {
  return {
    node: { id: parts.id, cluster: 'hermesbridge' },
    admin: { address: { pipe: { path: parts.adminSocket, mode: 0o600 } }, ignore_global_conn_limit: true },
    static_resources: { listeners: parts.listeners, clusters: parts.clusters },
    overload_manager: {
      resource_monitors: [
        extension(
          'envoy.resource_monitors.global_downstream_max_connections',
          'envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
          { max_active_downstream_connections: parts.maxConnections },
        ),
      ],
    },
  };
}
