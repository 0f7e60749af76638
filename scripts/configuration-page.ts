// docs/configuration.md, out of the schemas in src/config.ts.

import { z } from 'zod';
import { configurationSchema, parseConfiguration } from '../src/config.ts';

/** JSON Schema, as far as it is used here. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
}

export interface ConfigurationKey {
  readonly path: string;
  readonly type: string;
  readonly required: boolean;
  readonly default: unknown;
  readonly description: string | undefined;
}

export const EXAMPLES = {
  gateway: `verify:
  gateway:
    names: [gateway.example]
  trust:
    operators:
      - did: did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK
        vouchesForAgents: true
  providers:
    openai:
      api: openai
      credential: { file: openai.key }
`,
  sidecar: `sign:
  key: { file: agent.jwk }
  capability: { file: agent.capability }
  localSecret: { file: local.secret }
  gateway: https://gateway.example
`,
  vault: `control:
  origin: https://vault.example
  operators:
    - did:webvh:QmWkpMYNYAi8U2SfjxUnwYdrjhchKaMdjAHibiQCEeTV1H:vault.example:operators:acme
`,
} as const;

/** Every key of the file, a section before what is in it, in the order of the schemas. */
export function configurationKeys(): ConfigurationKey[] {
  return walk(z.toJSONSchema(configurationSchema, { io: 'input' }) as Schema, '');
}

function walk(schema: Schema, path: string): ConfigurationKey[] {
  if (isDetails(schema)) return [];
  const at = (name: string) => (path === '' ? name : `${path}.${name}`);
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const key: ConfigurationKey = {
      path: at(name),
      type: typeOf(member),
      required: schema.required?.includes(name) ?? false,
      default: member.default,
      description: member.description,
    };
    return [key, ...walk(member, at(name))];
  });
  const element = schema.items ? walk(schema.items, `${path}[]`) : [];
  const named = typeof schema.additionalProperties === 'object' ? walk(schema.additionalProperties, `${path}.NAME`) : [];
  return [...own, ...element, ...named];
}

/** An `authorization_details` entry is the profile's to describe. */
function isDetails(schema: Schema): boolean {
  return schema.properties?.type?.const === 'llm_access';
}

function typeOf(schema: Schema): string {
  if (isDetails(schema)) return '`authorization_details` entry (profile, section 3)';
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.type === 'array')
    return `list of ${schema.items ? typeOf(schema.items) : 'value'}s${schema.minItems ? `, at least ${schema.minItems}` : ''}`;
  if (schema.type === 'object') return objectType(schema);
  if (schema.type === 'integer' || schema.type === 'number') return `${schema.type}${range(schema)}`;
  return schema.format === 'uri' ? 'URL' : (schema.type ?? 'value');
}

function objectType(schema: Schema): string {
  if (typeof schema.additionalProperties === 'object') return `map of names to ${typeOf(schema.additionalProperties)}`;
  const [[name] = [], ...others] = Object.entries(schema.properties ?? {});
  return others.length === 0 && (name === 'file' || name === 'environment' || name === 'url') ? `\`{${name}: …}\`` : 'section';
}

function range({ minimum, maximum }: Schema): string {
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum !== undefined && most !== undefined) return `, ${minimum} to ${most}`;
  return minimum === undefined ? '' : `, at least ${minimum}`;
}

function row({ path, type, required, default: byDefault, description = '' }: ConfigurationKey): string {
  const missing = required ? 'required' : byDefault === undefined || isEmpty(byDefault) ? '' : `\`${JSON.stringify(byDefault)}\``;
  return `| \`${path}\` | ${type} | ${missing} | ${description.replaceAll('|', '\\|')} |`;
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

export function configurationPage(): string {
  // An example that does not load is no example.
  for (const [name, text] of Object.entries(EXAMPLES)) parseConfiguration(text, `${name}.yaml`);
  const keys = configurationKeys();
  const sections = ['verify', 'sign', 'control', 'log'].map((role) => {
    const rows = keys.filter(({ path }) => path.startsWith(`${role}.`)).map(row);
    const title = keys.find(({ path }) => path === role)?.description;
    return [
      `## \`${role}\`${title === undefined ? '' : `: ${title}`}`,
      '',
      '| key | type | default | |',
      '|---|---|---|---|',
      ...rows,
      '',
    ].join('\n');
  });
  const example = (name: keyof typeof EXAMPLES) => ['```yaml', EXAMPLES[name].trimEnd(), '```', ''];
  return [
    '<!-- Written by scripts/render-docs.ts out of the schemas in src/config.ts: change them there and run `npm run render`. -->',
    '',
    '# Configuration',
    '',
    'One YAML file, named with `--config FILE` or `HERMESBRIDGE_CONFIG`. It holds the role `verify` (the gateway), the role `sign` (the',
    'sidecar), the role `control` (the vault), or several. Unknown keys are refused, and every problem is reported at once, with its line.',
    'Paths are relative to the file. No secret stands in it: each is named as `{file: PATH}`, a file that only its owner can read, or',
    '`{environment: NAME}`. `SIGHUP` reads the file again; a bad one is refused as a whole, and what it changes that only a restart can',
    'change is named.',
    '',
    'A whole gateway:',
    '',
    ...example('gateway'),
    'A whole sidecar:',
    '',
    ...example('sidecar'),
    'A whole vault:',
    '',
    ...example('vault'),
    'In the keys below `[]` stands for each element of a list and `NAME` for a name of your choice.',
    '',
    ...sections,
  ].join('\n');
}
