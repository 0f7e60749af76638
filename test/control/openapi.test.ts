// The OpenAPI document: every route is in it, whoever reads it can check the answers with it, and it is what the vault serves.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { PROBLEMS } from '../../src/control/problem.ts';
import { fresh, Operator } from './operator.ts';
import { startWith, type World } from './vault-world.ts';

const acme = new Operator('acme');
let world: World;
// biome-ignore lint/suspicious/noExplicitAny: a document as a stranger reads it.
let document: any;

beforeAll(async () => {
  world = await startWith(acme);
  document = (await world.ask('/v1/openapi.json')).body;
});
afterAll(() => world.stop());

/** With each reference replaced by what it names. */
function expand(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expand);
  if (typeof value !== 'object' || value === null) return value;
  if ('$ref' in value) {
    const found = String(value.$ref)
      .slice(2)
      .split('/')
      .reduce((at, name) => at?.[name], document);
    expect(found, String(value.$ref)).toBeDefined();
    return expand(found);
  }
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, expand(member)]));
}

test('it names every route of the vault, and no reference in it leads nowhere', () => {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item as object).map((method) => `${method} ${path}`),
  );
  expect(operations.sort()).toEqual(
    [
      'get /.well-known/http-message-signatures-directory',
      'get /agents/{operator}/{agent}/did-witness.json',
      'get /agents/{operator}/{agent}/did.jsonl',
      'get /operators/{operator}/did-witness.json',
      'get /operators/{operator}/did.jsonl',
      'get /v1/agents',
      'get /v1/agents/{did}',
      'get /v1/agents/{did}/versions',
      'get /v1/changes',
      'get /v1/health',
      'get /v1/openapi.json',
      'get /v1/operators',
      'get /v1/operators/{did}',
      'get /v1/operators/{did}/versions',
      'get /v1/restrictions',
      'get /v1/restrictions/feed',
      'get /v1/restrictions/{id}',
      'get /v1/restrictions/{sequence}/acknowledged',
      'get /v1/sessions',
      'get /v1/sessions/{sid}',
      'get /v1/tree',
      'post /v1/agents',
      'post /v1/agents/{did}/versions',
      'post /v1/operators',
      'post /v1/operators/{did}/versions',
      'post /v1/restrictions',
    ].sort(),
  );
  expand(document);
  expect(document.openapi).toBe('3.1.0');
  expect(Object.keys(document.components.responses)).toEqual(Object.keys(PROBLEMS));
});

describe('each operation', () => {
  const each = () =>
    Object.entries<object>(document.paths).flatMap(([path, item]) =>
      Object.values(item).map((operation) => [path, operation] as const),
    );

  test('has a name of its own, its path parameters, and the errors that any can end in', () => {
    expect(new Set(each().map(([, { operationId }]) => operationId)).size).toBe(each().length);
    for (const [path, { parameters, responses, summary }] of each()) {
      const inPath = parameters
        .filter((one: { in: string }) => one.in === 'path')
        .map(({ name }: { name: string }) => `{${name}}`);
      expect(inPath).toEqual(path.match(/\{\w+\}/g) ?? []);
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(['400', '408', '431', '500', '503']));
      expect(summary).not.toBe('');
    }
  });

  test('that writes says that it is signed, and how', () => {
    const posts = each().filter(([, { requestBody }]) => requestBody !== undefined);
    // A restriction carries the signature of its author.
    const writes = posts.filter(([path]) => path !== '/v1/restrictions');
    expect(posts.filter(([, { security }]) => security.length === 0).map(([path]) => path)).toEqual(['/v1/restrictions']);
    expect(writes).toHaveLength(4);
    for (const [, { security, parameters, responses }] of writes) {
      expect(security).toEqual([{ operatorSignature: [] }]);
      expect(parameters.map(({ name }: { name: string }) => name)).toEqual(
        expect.arrayContaining(['Content-Digest', 'Signature-Input', 'Idempotency-Key']),
      );
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(['201', '401', '403', '409', '413', '415', '422', '503']));
    }
    expect(document.components.securitySchemes.operatorSignature.description).toContain('agent-cap-control');
  });
});

test('real answers are of the form that the document gives, read as JSON Schema, and no other member would be', async () => {
  const log = acme.agent(fresh('agent'));
  const path = `/v1/agents/${encodeURIComponent(log.did)}`;
  const registered = await world.register(acme, log);
  const cases: [string, { body: object }][] = [
    ['Registration', registered],
    ['Registration', await world.ask(path)],
    ['RegistrationPage', await world.ask('/v1/agents')],
    ['VersionPage', await world.ask(`${path}/versions`)],
    ['Changes', await world.ask('/v1/changes?after=0')],
    ['Health', await world.ask('/v1/health')],
    ['Problem', await world.ask('/v1/agents/x')],
  ];
  for (const [name, { body }] of cases) {
    const schema = z.fromJSONSchema(expand(document.components.schemas[name]) as Parameters<typeof z.fromJSONSchema>[0]);
    expect(schema.safeParse(body), name).toMatchObject({ success: true });
    expect(schema.safeParse({ ...body, more: 1 }).success, name).toBe(false);
  }
});
