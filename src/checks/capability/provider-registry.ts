// Reads every provider's table from the folder `providers/` at start, so that one new file adds a provider (profile section 3).
// A table that is not right stops the start, and the error says in which file it stands.

import { readdir } from 'node:fs/promises';
import { extname } from 'node:path';
import { z } from 'zod';
import type { ProviderApi } from './provider-api.ts';
import { compileApi } from './read-operation.ts';

const headerName = z.string().regex(/^[a-z0-9-]+$/, 'must be a header name in lower case');
const operation = z
  .strictObject({
    method: z.enum(['GET', 'POST', 'DELETE']),
    path: z.string(),
    body: z.enum(['json', 'multipart', 'none']),
    query: z.array(z.string().min(1)).optional(),
    jsonAs: z.array(z.string()).optional(),
    outputLimit: z.string().min(1).optional(),
    wants: z.custom<unknown>((value) => typeof value === 'function', 'must be a function'),
  })
  .refine(({ method, body }) => method === 'POST' || body === 'none', 'only POST has a body');
const table = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,40}$/, 'must be lower-case letters, digits and `-`'),
  upstream: z.url({ protocol: /^https$/ }).optional(),
  credential: z.strictObject({ header: headerName, prefix: z.string() }),
  baseUrl: z.strictObject({ environment: z.string().regex(/^[A-Z][A-Z0-9_]*$/), suffix: z.string().regex(/^(?:\/[\w.-]+)*$/) }),
  operations: z.array(operation).min(1),
});

/** Every provider by its name. `folder` holds one module a provider, each with `export const provider: ProviderApi`. */
export async function loadProviders(
  folder: URL = new URL('./providers/', import.meta.url),
): Promise<ReadonlyMap<string, ProviderApi>> {
  // From sources the modules are .ts, from a build .js; the one beside this module tells which.
  const extension = extname(new URL(import.meta.url).pathname);
  const files = (await readdir(folder)).filter((file) => file.endsWith(extension) && !file.endsWith(`.d${extension}`)).sort();
  const providers = new Map<string, ProviderApi>();
  const fileOf = new Map<string, string>();
  for (const file of files) {
    const api = await load(new URL(encodeURIComponent(file), folder), file);
    const other = fileOf.get(api.name);
    if (other !== undefined) throw new Error(`providers/${file}: the name ${api.name} is taken by providers/${other}`);
    providers.set(api.name, api);
    fileOf.set(api.name, file);
  }
  return providers;
}

async function load(url: URL, file: string): Promise<ProviderApi> {
  try {
    const module: Record<string, unknown> = await import(/* @vite-ignore */ url.href);
    if (!('provider' in module)) throw new Error('does not export `provider`');
    assertTable(module.provider);
    compileApi(module.provider);
    return module.provider;
  } catch (cause) {
    throw new Error(`providers/${file}: ${cause instanceof Error ? cause.message : 'cannot be loaded'}`, { cause });
  }
}

function assertTable(value: unknown): asserts value is ProviderApi {
  const checked = table.safeParse(value);
  if (!checked.success) throw new Error(z.prettifyError(checked.error));
}
