// The table of reasons, the code that gives them and the pages written from both say the same.

import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configurationKeys, configurationPage, EXAMPLES } from '../scripts/configuration-page.ts';
import { reasonsInUse, reasonsPage } from '../scripts/reasons-page.ts';
import { configurationSchema, parseConfiguration } from '../src/config.ts';
import { REASONS, type Reason } from '../src/reason.ts';
import { findDidProblem } from '../src/vault/find-did-problem.ts';

const page = (name: string) => readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8');
const reasons = Object.keys(REASONS) as Reason[];

test.each([
  ['reasons.md', reasonsPage],
  ['configuration.md', configurationPage],
])('docs/%s is what scripts/render-docs.ts writes', (name, render) => {
  expect(page(name)).toBe(render());
  expect(render()).toBe(render());
});

describe('reasons', () => {
  const used = reasonsInUse();

  test.each(reasons)('%s is given somewhere in src/', (reason) => {
    expect(used.get(reason)).not.toBeUndefined();
  });

  test('src/ gives no other', () => {
    expect([...used.keys()].filter((reason) => !(reason in REASONS))).toEqual([]);
  });

  test.each(reasons)('%s has a section that says what to do', (reason) => {
    expect(page('reasons.md')).toContain(`\n## ${reason}\n`);
    expect(page('reasons.md')).toContain(`\n${REASONS[reason].remedy}\n`);
    expect(REASONS[reason].title).toMatch(/[^.]$/);
  });

  /** Statuses of profile section 4, and 429 for a quota that the profile leaves to the gateway. */
  const STATUS: Readonly<Record<number, readonly Reason[]>> = {
    400: ['malformed'],
    403: ['capability-missing', 'attestation-required', 'capability-insufficient', 'budget-exhausted'],
    429: ['nonce-quota'],
    503: ['identity-unavailable', 'revocation-stale', 'indeterminate'],
  };

  test.each(reasons)('%s has the status of the profile', (reason) => {
    const status = Object.entries(STATUS).find(([, all]) => all.includes(reason))?.[0] ?? '401';
    expect(REASONS[reason].status).toBe(Number(status));
  });
});

describe('configuration', () => {
  const keys = configurationKeys();

  test.each(keys.filter(({ type }) => type !== 'section').map((key) => [key.path, key] as const))('%s is described', (_, key) => {
    expect(key.description?.length ?? 0).toBeGreaterThan(10);
  });

  test('no key is left out', () => {
    const complete = configurationSchema.parse(Object.assign({}, ...Object.values(EXAMPLES).map((text) => parse(text))));
    const paths = new Set(keys.map(({ path }) => path));
    const leaves = (value: unknown, path: string): string[] => {
      if (Array.isArray(value)) return value.flatMap((element) => leaves(element, `${path}[]`));
      if (typeof value !== 'object' || value === null) return [path];
      return Object.entries(value).flatMap(([name, member]) => leaves(member, path === '' ? name : `${path}.${name}`));
    };
    const known = (path: string) => {
      const general = path.replace(/^verify\.providers\.openai/, 'verify.providers.NAME').replace(/\[\]$/, '');
      return paths.has(general) || paths.has(general.replace(/\.(?:file|environment)$/, ''));
    };
    expect(leaves(complete, '').filter((path) => !known(path))).toEqual([]);
  });

  test.each(Object.entries(EXAMPLES))('the %s of the page loads', (name, text) => {
    expect(() => parseConfiguration(text, `${name}.yaml`)).not.toThrow();
    expect(page('configuration.md')).toContain(text);
  });

  const examples = globSync('*.yaml', { cwd: new URL('../examples/', import.meta.url) });

  test.each(examples)('examples/%s loads', (name) => {
    const text = readFileSync(new URL(`../examples/${name}`, import.meta.url), 'utf8');
    const { verify, control } = parseConfiguration(text, name);
    const dids = [...(verify?.trust.operators.map(({ did }) => did) ?? []), ...(control?.operators ?? [])];
    expect(dids.map((did) => findDidProblem(did, []))).toEqual(dids.map(() => undefined));
  });

  test('there are examples', () => {
    expect(examples.toSorted()).toEqual(['gateway.yaml', 'sidecar.yaml', 'vault-alone.yaml', 'vault.yaml']);
  });
});
