// The gateway's route table: which provider a path leads to, and by which other names its models are known.
// Envoy's routes are rendered from the same configuration, so the check and the proxy cannot disagree.

import { z } from 'zod';
import type { ProviderApi } from './provider-api.ts';

const secret = z
  .union([z.strictObject({ file: z.string().min(1) }), z.strictObject({ environment: z.string().min(1) })], {
    error: 'must be {file: PATH} or {environment: NAME}: a secret never stands in this file',
  })
  .describe("the provider's key: {file: PATH} or {environment: NAME}; Envoy injects it, the service never sends it");

export const providerConfiguration = z.strictObject({
  api: z.string().describe('which API it speaks: openai, anthropic, gemini, azure-openai, bedrock'),
  upstream: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe("where it is; the provider's public endpoint if it has one"),
  trustedCa: z
    .string()
    .optional()
    .describe("file with the CA certificates that the upstream is verified against; the system's by default"),
  credential: secret,
  aliases: z
    .record(z.string(), z.string())
    .default({})
    .describe('other names of its models (deployments, dated versions) and the name that capabilities use for them'),
});

export const providersConfiguration = z
  .record(
    z.string().regex(/^[a-z0-9][a-z0-9_-]{0,31}$/, 'must be lower-case letters, digits, "-" and "_"'),
    providerConfiguration,
  )
  .describe('providers by the name that capabilities use (`NAME/model`) and that begins their path (`/NAME/…`)');

export type ProviderConfiguration = z.infer<typeof providerConfiguration>;

export interface ProviderRoute {
  readonly name: string;
  readonly api: ProviderApi;
  readonly aliases: ReadonlyMap<string, string>;
}

export interface ProviderRoutes {
  /** As requests name them in `@authority`: lower case, without a default port. */
  readonly authorities: ReadonlySet<string>;
  readonly providers: ReadonlyMap<string, ProviderRoute>;
}

/** @returns the provider and the path behind its prefix, or `undefined` where no route leads. */
export function findRoute(routes: ProviderRoutes, path: string): { route: ProviderRoute; rest: string } | undefined {
  const end = path.indexOf('/', 1);
  const route = end === -1 ? undefined : routes.providers.get(path.slice(1, end));
  return route && { route, rest: path.slice(end) };
}
