// Finds the operation that a method and path name, and reads the query (profile section 3: an unknown path is denied).
// Runs on every call: a literal path is one Map look-up, and only templates with `{name}` are regular expressions.

import { type Operation, type ProviderApi, Undetermined } from './provider-api.ts';
import { quoted } from './readers/members.ts';

export interface MatchedOperation {
  readonly operation: Operation;
  /** Values of the `{name}` segments, percent-decoded once. */
  readonly path: Readonly<Record<string, string>>;
}

interface Template {
  readonly operation: Operation;
  readonly pattern: RegExp;
  readonly names: readonly string[];
}

interface CompiledApi {
  readonly literal: ReadonlyMap<string, MatchedOperation>;
  readonly templates: ReadonlyMap<string, readonly Template[]>;
}

const LITERAL = /^[\w.~:@!$&'()*+,;=/-]*$/;
// What a decoded segment may hold: nothing that another parser could take for a separator or decode once more.
const SEGMENT = /^[\w.~:@!$&'()*+,=-]+$/;
const CREDENTIALS = new Set(['key', 'api_key', 'api-key', 'access_token']);
const compiled = new WeakMap<ProviderApi, CompiledApi>();

/** The operation for `method` and `path` (no query, no provider's prefix), or undefined where the table has none. */
export function matchOperation(api: ProviderApi, method: string, path: string): MatchedOperation | undefined {
  const table = compiled.get(api) ?? compileApi(api);
  const literal = table.literal.get(`${method} ${path}`);
  if (literal !== undefined) return literal;
  for (const template of table.templates.get(method) ?? []) {
    const match = template.pattern.exec(path);
    if (match !== null) return matched(template, match);
  }
  return undefined;
}

function matched({ operation, names }: Template, match: RegExpExecArray): MatchedOperation | undefined {
  const values: Record<string, string> = {};
  for (const [index, name] of names.entries()) {
    const value = decoded(match[index + 1] ?? '');
    if (value === undefined || !SEGMENT.test(value) || value === '.' || value === '..') return undefined;
    values[name] = value;
  }
  return { operation, path: values };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Compiles a table once; throws an Error that names the operation whose template is wrong or given twice. */
export function compileApi(api: ProviderApi): CompiledApi {
  const literal = new Map<string, MatchedOperation>();
  const templates = new Map<string, Template[]>();
  const seen = new Set<string>();
  for (const operation of api.operations) {
    const key = `${operation.method} ${operation.path}`;
    const template = compileTemplate(operation, key);
    const shape = `${operation.method} ${template.pattern.source}`;
    if (seen.has(shape)) throw new Error(`${key} is in the table twice`);
    seen.add(shape);
    if (template.names.length === 0) literal.set(key, { operation, path: {} });
    else templates.set(operation.method, [...(templates.get(operation.method) ?? []), template]);
  }
  const table = { literal, templates };
  compiled.set(api, table);
  return table;
}

/** `text` as it stands in a regular expression. */
function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}

function compileTemplate(operation: Operation, key: string): Template {
  const pieces = operation.path.split(/\{([a-z]\w*)\}/i);
  const names = pieces.filter((_, index) => index % 2 === 1);
  let source = '';
  for (const [index, piece] of pieces.entries()) {
    if (index % 2 === 0 && !LITERAL.test(piece)) throw new Error(`${key} has a template that cannot be read`);
    // A value ends at the literal that follows it, so it cannot contain that literal's first character.
    const end = pieces[index + 1]?.charAt(0) ?? '';
    if (index % 2 === 1 && end === '' && index + 2 < pieces.length)
      throw new Error(`${key} has two names without text between them`);
    source += index % 2 === 0 ? escaped(piece) : `([^/?#${end === '' ? '' : escaped(end)}]+)`;
  }
  if (!operation.path.startsWith('/')) throw new Error(`${key} does not begin with a slash`);
  if (new Set(names).size !== names.length) throw new Error(`${key} uses a name twice`);
  return { operation, pattern: new RegExp(`^${source}$`), names };
}

/** Parses a raw query (`''`, `?` or `?a=b&c=d`) and refuses repeated names, names of credentials and any not in `allowed`. */
export function parseQuery(raw: string, allowed?: readonly string[]): ReadonlyMap<string, string> {
  const query = new Map<string, string>();
  if (raw === '' || raw === '?') return query;
  // Only what every parser splits and decodes alike: no `;`, no `+`, no empty pair.
  if (!/^\?[\w.~$%=&:@/,*-]+$/.test(raw))
    throw new Undetermined('the query must be `?name=value` pairs, percent-encoded, joined by `&`');
  for (const pair of raw.slice(1).split('&')) {
    const [name, value, ...rest] = pair.split('=').map(decoded);
    if (name === undefined || name === '' || value === undefined || rest.length > 0)
      throw new Undetermined('every query parameter must be `name=value`');
    if (CREDENTIALS.has(name.toLowerCase()))
      throw new Undetermined('leave the key out of the query; the gateway adds the credential itself');
    if (query.has(name)) throw new Undetermined(`the query parameter ${quoted(name)} is repeated; send it once`);
    if (allowed !== undefined && !allowed.includes(name))
      throw new Undetermined(`the query parameter ${quoted(name)} is not known here; leave it out`);
    query.set(name, value);
  }
  return query;
}
