// Identifiers that begin with a hyphen, as one in 64 does.

import { expect, test } from 'vitest';
import { shieldIdentifier } from '../../src/cli/dashed-identifier.ts';
import { hb } from './run-cli.ts';

const SID = '-rbQtdHTUidpjDG9yg_ktw';
const JKT = '-Qx_3s0eL5T6uJmWQp0kAyd9bqRj8b2Q3cAiyo0XyZ1';

test.each([
  [`revoke session ${SID} --reason x --json`, `revoke session --reason x --json -- ${SID}`],
  [`revoke --json key ${JKT}`, `revoke --json key -- ${JKT}`],
  [`session end --json ${SID}`, `session end --json -- ${SID}`],
  [`revoke session --key=k ${SID}`, `revoke session --key=k -- ${SID}`],
  [`tree ${SID}`, `tree -- ${SID}`],
  [`capability narrow a --session ${SID} --task`, `capability narrow a --session=${SID} --task`],
  [`capability narrow --task ${SID} a`, `capability narrow --task=${SID} a`],
  [`session list -- --session ${SID}`, `session list -- --session ${SID}`],
  // The value of an option, what is shielded already, what is no identifier, and commands that take none.
  [`narrow --lift ${SID}`, `narrow --lift ${SID}`],
  [`revoke session -- ${SID}`, `revoke session -- ${SID}`],
  ['revoke session -h', 'revoke session -h'],
  ['revoke session --unknown-option-of-some-length', 'revoke session --unknown-option-of-some-length'],
  [`keygen ${SID}`, `keygen ${SID}`],
])('%s', (typed, parsed) => {
  expect(shieldIdentifier(typed.split(' '))).toEqual(parsed.split(' '));
});

test('the program takes one for what it is', async () => {
  const { code, stderr } = await hb(['revoke', 'session', SID, '--key', 'missing.jwk', '--store', 'missing.db']);
  expect(stderr).not.toContain('unknown option');
  expect(stderr).toContain('missing');
  expect(code).not.toBe(0);
});
