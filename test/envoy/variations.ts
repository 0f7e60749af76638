/** Every way the two bootstraps are rendered, for the tests that must hold in all of them. */

import { defaultGateway, defaultSidecar } from '../../src/envoy/default-bootstraps.ts';
import type { EnvoyBootstrap } from '../../src/envoy/envoy-config.ts';
import { gatewayBootstrap } from '../../src/envoy/gateway-bootstrap.ts';
import { sidecarBootstrap } from '../../src/envoy/sidecar-bootstrap.ts';

interface Files {
  certificateFile: string;
  keyFile: string;
  trustedCaFile: string;
}

export function variations(files: Files): Record<string, EnvoyBootstrap> {
  const { tls: _tls, ...clearText } = defaultGateway;
  const [openai, anthropic] = defaultGateway.providers;
  if (!openai || !anthropic) throw new Error('the default gateway has two providers');
  const service = (address: string) => ({
    address,
    port: 9443,
    tls: { ...files, serverNames: ['service.test', 'spiffe://cluster.test/hermesbridge'] },
  });
  return {
    'gateway as in the repository': gatewayBootstrap(defaultGateway),
    'gateway in clear text with an access log': gatewayBootstrap({ ...clearText, accessLog: true }),
    'gateway with its service behind mutual TLS': gatewayBootstrap({
      ...defaultGateway,
      authorizationService: service('service.test'),
    }),
    'gateway with its service on a loopback port': gatewayBootstrap({
      ...clearText,
      authorizationService: { address: '127.0.0.1', port: 9000 },
    }),
    'gateway with http, numeric and base-path upstreams': gatewayBootstrap({
      ...defaultGateway,
      maxRequestBytes: 1000,
      authorities: ['Gateway.Example', 'gateway.example:8443', '[::1]'],
      providers: [
        { ...openai, upstream: new URL('http://localhost:8000/v2') },
        { ...anthropic, upstream: new URL('https://[::1]:8443/base/') },
        {
          ...openai,
          name: 'azure',
          prefix: '/azure/',
          sdsFile: '/run/hermesbridge/credentials/azure.json',
          credential: { header: 'api-key', prefix: '' },
        },
      ],
    }),
    'gateway that cuts nothing': gatewayBootstrap({ ...defaultGateway, cutStreams: false }),
    'gateway without providers': gatewayBootstrap({ ...defaultGateway, providers: [] }),
    'sidecar as in the repository': sidecarBootstrap(defaultSidecar),
    'sidecar with ports of tasks': sidecarBootstrap({
      ...defaultSidecar,
      taskListeners: { header: 'x-agent-task', ports: [{ port: 4181, task: 'nightly-100%' }] },
    }),
    'sidecar to an http gateway with an access log': sidecarBootstrap({
      ...defaultSidecar,
      accessLog: true,
      authorities: ['sidecar.internal'],
      authorizationService: service('127.0.0.1'),
      gateway: { url: new URL('http://127.0.0.1:8080'), authority: 'gateway.example' },
    }),
  };
}
