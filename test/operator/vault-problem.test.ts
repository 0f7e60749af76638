import { expect, it } from 'vitest';
import { refusalOf } from '../../src/operator/vault-problem.ts';

const refused = (status: number, body: unknown) =>
  refusalOf('cannot register the agent', status, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));

it('says what the vault said, field by field, and what to do', () => {
  const refusal = refused(422, {
    type: 'urn:hermesbridge:control:not-admitted',
    title: 'The vault does not admit the entry',
    status: 422,
    detail: 'entry.parameters.portable must be true.',
    errors: [
      { field: 'entry.parameters.portable', detail: 'must be true' },
      { field: 'entry.state.controller', detail: 'must name the operator' },
    ],
  });
  expect(refusal).toMatchObject({ status: 422, problem: 'not-admitted' });
  for (const part of [
    'cannot register the agent',
    '422',
    'does not admit',
    'entry.parameters.portable: must be true',
    'entry.state.controller: must name',
  ])
    expect(refusal.message).toContain(part);
  expect(refused(403, {}).message).toContain('control.operators');
  expect(refused(401, { title: 'no' }).message).toMatch(/no; .*clock.*operator show/);
});

it('takes anything for an answer, and lets nothing of it write on the terminal', () => {
  expect(refused(500, '<html>').message).toBe('cannot register the agent: the vault answered 500');
  expect(refused(400, { title: 7, detail: [], errors: 'x' }).message).toBe('cannot register the agent: the vault answered 400');
  const message = refused(400, { title: 'a\u001b[31mb\nc\u202e', detail: 'd'.repeat(10_000) }).message;
  expect(message).not.toMatch(/\p{C}/u);
  expect(message.length).toBeLessThan(1000);
});
