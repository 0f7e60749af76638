// Every case of test/cases/*.yaml: what arrives, what is decided and what the record says of it.

import { readdirSync, readFileSync } from 'node:fs';
import canonicalize from 'canonicalize';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { REASONS } from '../src/reason.ts';
import { PROMPT, run, scenarioSchema } from './scenario.ts';

const caseSchema = scenarioSchema.extend({
  name: z.string(),
  expect: z
    .strictObject({
      effect: z.enum(['allow', 'deny']),
      reason: z.enum(Object.keys(REASONS) as [keyof typeof REASONS, ...(keyof typeof REASONS)[]]).optional(),
      /** Part of the detail. */
      detail: z.string().optional(),
      /** Members of the record; null where there must be none. */
      record: z.record(z.string(), z.unknown()).default({}),
    })
    .refine(({ effect, reason }) => (effect === 'deny') === (reason !== undefined), 'a denial, and only that, has a reason'),
});

const folder = new URL('cases/', import.meta.url);
const files = readdirSync(folder)
  .filter((file) => file.endsWith('.yaml'))
  .sort();

describe.each(files)('%s', (file) => {
  const cases = z
    .array(caseSchema)
    .min(1)
    .parse(parse(readFileSync(new URL(file, folder), 'utf8')));
  test.each(cases.map((one) => [one.name, one] as const))('%s', async (_, { name: __, expect: expected, ...scenario }) => {
    const { decision, record } = await run(scenario);
    const { effect } = decision;
    const { reason, detail } = decision.effect === 'deny' ? decision : { reason: undefined, detail: '' };
    expect({ effect, reason, detail }).toEqual({ effect: expected.effect, reason: expected.reason, detail });
    expect(detail).toContain(expected.detail ?? '');
    const written = JSON.parse(record) as Record<string, unknown>;
    expect(written).toMatchObject({ effect, ...(reason && { reason, detail }) });
    for (const [member, value] of Object.entries(expected.record)) {
      expect(written[member], `${member} of the record`).toEqual(value === null ? undefined : value);
    }
    expect(canonicalize(written)).toBe(record);
    expect(record).not.toContain(PROMPT);
  });
});

test('no two cases have the same name', () => {
  const names = files.flatMap((file) =>
    (parse(readFileSync(new URL(file, folder), 'utf8')) as { name: string }[]).map(({ name }) => name),
  );
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
});
