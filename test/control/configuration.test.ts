// The section `control` of the configuration.

import { expect, test } from 'vitest';
import { z } from 'zod';
import { controlConfiguration } from '../../src/control/configuration.ts';

const least = { origin: 'https://vault.example', operators: ['did:webvh:x:vault.example:operators:acme'] };
const parse = (changes: object) => controlConfiguration.safeParse({ ...least, ...changes });

test('an origin and an operator are enough, on loopback', () => {
  expect(controlConfiguration.parse(least)).toEqual({
    ...least,
    administrators: [],
    service: { listen: '127.0.0.1:8444', maxConnections: 2048 },
    store: { file: 'run/vault.db' },
    maxLogBytes: 65_536,
  });
});

test.each(['0.0.0.0:8444', 'vault.example:443', '[::]:8444', '10.0.0.1:80'])('%s needs TLS', (listen) => {
  expect(parse({ service: { listen } }).error?.issues[0]).toMatchObject({ path: ['service', 'tls'] });
  expect(parse({ service: { listen, tls: { certificate: 'a.crt', key: 'a.key' } } }).success).toBe(true);
});

test.each(['127.0.0.1:0', 'localhost:8444', '[::1]:8444', 'unix:run/vault.sock'])('%s does not', (listen) => {
  expect(parse({ service: { listen } }).success).toBe(true);
});

test.each([
  'http://vault.example',
  'https://vault.example/',
  'https://vault.example/x',
  'https://VAULT.example',
  'https://a@vault.example',
  'vault.example',
])('%s is no origin of a vault', (origin) => {
  expect(parse({ origin }).success).toBe(false);
});

test.each([[[]], [['acme']], [['did:web:a b']], [undefined]])('%j are no operators', (operators) => {
  expect(parse({ operators }).success).toBe(false);
});

test('every key is described', () => {
  const bare: string[] = [];
  const visit = (schema: z.core.JSONSchema.BaseSchema, path: string) => {
    for (const [name, member] of Object.entries(schema.properties ?? {})) {
      if (typeof member !== 'object') continue;
      if (member.description === undefined) bare.push(`${path}.${name}`);
      visit(member, `${path}.${name}`);
    }
  };
  visit(z.toJSONSchema(controlConfiguration, { io: 'input' }), 'control');
  expect(bare).toEqual([]);
});
