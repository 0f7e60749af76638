// One Envoy before all replicas: the rendered bootstrap with an endpoint for each, as a Kubernetes service would give it.

import { join } from 'node:path';
import { credentialFile } from '../../src/envoy/credential-file.ts';
import type { EnvoyConfig } from '../../src/envoy/envoy-config.ts';
import { gatewayBootstrap } from '../../src/envoy/gateway-bootstrap.ts';
import { type RunningEnvoy, startEnvoy } from '../../src/envoy/run-envoy.ts';

export interface SharedEnvoySettings {
  readonly directory: string;
  /** Of the services, on this machine. */
  readonly endpoints: readonly number[];
  readonly upstreamPort: number;
  readonly providerKeyFile: string;
}

export async function startSharedEnvoy(settings: SharedEnvoySettings): Promise<RunningEnvoy> {
  const { directory, endpoints, upstreamPort, providerKeyFile } = settings;
  const sdsFile = join(directory, 'openai.yaml');
  const credential = await credentialFile({ name: 'openai', source: { file: providerKeyFile }, sdsFile });
  await credential.close();
  const header = { header: 'authorization', prefix: 'Bearer ' };
  const upstream = new URL(`http://127.0.0.1:${upstreamPort}/`);
  const bootstrap = gatewayBootstrap({
    listen: { address: '127.0.0.1', port: 0 },
    authorities: ['gateway.local'],
    maxRequestBytes: 1024 * 1024,
    authorizationService: { address: '127.0.0.1', port: endpoints[0] ?? 0 },
    admin: { unixSocket: join(directory, 'admin.sock') },
    timeoutMillis: 5200,
    cutStreams: true,
    providers: [{ name: 'openai', prefix: '/openai/', upstream, sdsFile, credential: header }],
  });
  for (const cluster of bootstrap.static_resources.clusters) {
    if (!String(cluster.name).startsWith('agent_')) continue;
    const assignment = cluster.load_assignment as { endpoints: [{ lb_endpoints: EnvoyConfig[] }] };
    assignment.endpoints[0].lb_endpoints = endpoints.map((port) => ({
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
    }));
  }
  return startEnvoy({ bootstrap, directory, concurrency: 1 });
}
