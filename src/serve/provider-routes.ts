// The provider section of the configuration, joined with what the program knows of each API.

import type { ProviderApi } from '../checks/capability/provider-api.ts';
import type { ProviderConfiguration, ProviderRoute, ProviderRoutes } from '../checks/capability/provider-routes.ts';
import { ConfigurationError, type VerifyConfiguration } from '../config.ts';

/** @throws {ConfigurationError} for an unknown API, or one without a public endpoint and no `upstream`. */
export function providerRoutes(configuration: VerifyConfiguration, apis: ReadonlyMap<string, ProviderApi>): ProviderRoutes {
  const problems: string[] = [];
  const providers = new Map<string, ProviderRoute>();
  for (const [name, provider] of Object.entries(configuration.providers)) {
    const api = apis.get(provider.api);
    if (api === undefined)
      problems.push(`verify.providers.${name}.api: "${provider.api}" is not one of ${[...apis.keys()].join(', ')}`);
    else if (upstreamOf(provider, api) === undefined)
      problems.push(`verify.providers.${name}.upstream: is required for ${api.name}, which has no public endpoint`);
    else providers.set(name, { name, api, aliases: new Map(Object.entries(provider.aliases)) });
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return { authorities: new Set(authoritiesOf(configuration).map(normalise)), providers };
}

export function authoritiesOf({ gateway }: VerifyConfiguration): string[] {
  return gateway.authorities ?? gateway.names;
}

export function upstreamOf(provider: ProviderConfiguration, api: ProviderApi): string | undefined {
  return provider.upstream ?? api.upstream;
}

function normalise(authority: string): string {
  return authority.toLowerCase().replace(/:443$/, '');
}
