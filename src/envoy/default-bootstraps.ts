/**
 * The two bootstraps in `envoy/`: what the functions of this folder give for the documented paths, for people who run stock Envoy
 * themselves. `scripts/render-envoy.ts` writes them, a test holds them to these.
 */
import { stringify } from 'yaml';
import { type GatewayBootstrap, gatewayBootstrap } from './gateway-bootstrap.ts';
import { type SidecarBootstrap, sidecarBootstrap } from './sidecar-bootstrap.ts';

/** In Envoy's image and on Debian and Ubuntu; fixed, so that the files do not depend on where they were rendered. */
const trustedCaFile = '/etc/ssl/certs/ca-certificates.crt';

/** Requests up to 4 MiB: a long conversation with a few images. Each one in flight is held in memory once. */
const maxRequestBytes = 4 * 1024 * 1024;

export const defaultGateway: GatewayBootstrap = {
  listen: { address: '0.0.0.0', port: 8443 },
  tls: { certificateFile: '/etc/hermesbridge/tls/tls.crt', keyFile: '/etc/hermesbridge/tls/tls.key' },
  authorities: ['gateway.example'],
  maxRequestBytes,
  authorizationService: { unixSocket: '/run/hermesbridge/verify.sock' },
  admin: { unixSocket: '/run/hermesbridge/gateway-admin.sock' },
  timeoutMillis: 800,
  cutStreams: true,
  providers: [
    {
      name: 'openai',
      prefix: '/openai/',
      upstream: new URL('https://api.openai.com/'),
      sdsFile: '/run/hermesbridge/credentials/openai.json',
      credential: { header: 'authorization', prefix: 'Bearer ' },
      trustedCaFile,
    },
    {
      name: 'anthropic',
      prefix: '/anthropic/',
      upstream: new URL('https://api.anthropic.com/'),
      sdsFile: '/run/hermesbridge/credentials/anthropic.json',
      credential: { header: 'x-api-key', prefix: '' },
      trustedCaFile,
    },
  ],
};

export const defaultSidecar: SidecarBootstrap = {
  listen: { address: '127.0.0.1', port: 4180 },
  maxRequestBytes,
  authorizationService: { unixSocket: '/run/hermesbridge/sign.sock' },
  admin: { unixSocket: '/run/hermesbridge/sidecar-admin.sock' },
  timeoutMillis: 800,
  gateway: { url: new URL('https://gateway.example/'), trustedCaFile },
};

const gatewayHeader = `
The gateway's Envoy 1.40, rendered by scripts/render-envoy.ts from src/envoy/gateway-bootstrap.ts: change it there.
Run it with: envoy --config-path envoy/gateway.yaml

Yours to set: the authorities (gateway.example) and these files.
  /etc/hermesbridge/tls/tls.crt, tls.key            the gateway's certificate chain and key
  /run/hermesbridge/verify.sock                     the service in its role \`verify\`
  /run/hermesbridge/credentials/<provider>.json     the provider's key as an SDS secret; must exist before Envoy starts
  /run/hermesbridge/gateway-admin.sock              Envoy's admin interface, for its owner alone
Every setting below has its reason in src/envoy/ and a test in test/envoy/hardening.test.ts.
`;

const sidecarHeader = `
The sidecar's Envoy 1.40 next to an agent, rendered by scripts/render-envoy.ts from src/envoy/sidecar-bootstrap.ts: change it there.
Run it with: envoy --config-path envoy/sidecar.yaml
The agent's SDK gets a base URL on it, for instance OPENAI_BASE_URL=http://127.0.0.1:4180/openai/v1

Yours to set: the gateway (gateway.example, four times) and these files.
  /run/hermesbridge/sign.sock                       the service in its role \`sign\`
  /run/hermesbridge/sidecar-admin.sock              Envoy's admin interface, for its owner alone
`;

/** File name in `envoy/` to content. */
export function renderedBootstraps(): Record<'gateway.yaml' | 'sidecar.yaml', string> {
  return {
    'gateway.yaml': yamlFile(gatewayHeader, gatewayBootstrap(defaultGateway)),
    'sidecar.yaml': yamlFile(sidecarHeader, sidecarBootstrap(defaultSidecar)),
  };
}

function yamlFile(header: string, bootstrap: object): string {
  const comment = header
    .trim()
    .split('\n')
    .map((line) => `# ${line}`.trimEnd());
  return `${comment.join('\n')}\n${stringify(bootstrap, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
