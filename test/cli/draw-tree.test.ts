// Trees as they are drawn: nothing that an agent chose the name of can pass for something else, and nothing is cut off.

import { describe, expect, test } from 'vitest';
import { drawTree } from '../../src/cli/draw-tree.ts';
import { grantWords } from '../../src/cli/grant-lines.ts';
import { shownName, shownSentence, shownTime } from '../../src/cli/shown-text.ts';
import type { ConcerningView, LinkView } from '../../src/sightings/views.ts';

const NOW = 1_800_000_000;
const UNTIL = '2027-01-15T09:00:00Z';
const SEEN = '2027-01-15T08:00:00Z';

function view(token: string, parent: string | undefined, changes: Partial<LinkView> = {}): LinkView {
  return {
    token,
    ...(parent !== undefined && { parent }),
    depth: parent === undefined ? 0 : 1,
    operator: 'did:key:zOperator',
    agent: 'did:key:zAgent',
    jti: `jti-${token}`,
    jkt: `jkt-${token}`,
    opensSession: changes.sid !== undefined,
    setsTask: changes.task !== undefined,
    delegates: false,
    issued: NOW,
    expires: NOW + 3600,
    firstSeen: NOW,
    lastSeen: NOW,
    gateway: 'gateway.local',
    details: { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5*'] },
    state: 'live',
    narrowedBy: [],
    matches: false,
    ...changes,
  };
}

const draw = (links: LinkView[], restrictions: ConcerningView[] = [], width = Number.POSITIVE_INFINITY) =>
  drawTree({ links, restrictions }, { width, paint: (style, text) => (style === 'strong' ? `<${text}>` : text) });

describe('a drawing', () => {
  test('has a branch for each link, and what differs from the one above it', () => {
    const links = [
      view('a', undefined),
      view('b', 'a', { sid: 'sid-1', matches: true }),
      view('c', 'b', {
        task: 'invoice-17',
        details: { type: 'llm_access', actions: ['chat'], models: ['openai/gpt-5-mini'], tools: [] },
      }),
      view('d', 'b', { delegates: true, agent: 'did:key:zSub', state: 'expired' }),
      view('e', undefined, { agent: 'did:key:zOther' }),
    ];
    expect(draw(links)).toBe(
      [
        'operator did:key:zOperator',
        `├─ agent did:key:zAgent  until ${UNTIL}  seen ${SEEN}`,
        '│  │  may: chat; models openai/gpt-5*; any tool',
        '│  │  token jti-a',
        `│  └─ <session sid-1>  until ${UNTIL}  seen ${SEEN}`,
        '│     │  token jti-b',
        `│     ├─ task invoice-17  until ${UNTIL}  seen ${SEEN}`,
        '│     │     may: models openai/gpt-5-mini; no tools',
        '│     │     token jti-c',
        `│     └─ agent did:key:zSub  EXPIRED  until ${UNTIL}  seen ${SEEN}`,
        '│           token jti-d',
        `└─ agent did:key:zOther  until ${UNTIL}  seen ${SEEN}`,
        '      may: chat; models openai/gpt-5*; any tool',
        '      token jti-e',
      ].join('\n'),
    );
  });

  test('says of a restriction what, by whom and why, once, where it begins', () => {
    const narrowing: ConcerningView = {
      id: 'n-1',
      effect: 'narrow',
      target: { session: 'sid-1' },
      by: 'did:key:zOperator',
      at: NOW,
      reason: 'för dyrt',
      details: { type: 'llm_access', actions: ['embed'], models: [] },
    };
    const revocation: ConcerningView = {
      id: 'r-1',
      effect: 'revoke',
      target: { agent: 'did:key:zSub' },
      by: 'did:key:zOperator',
      at: NOW,
      reason: '',
    };
    const text = draw(
      [
        view('a', undefined),
        view('b', 'a', { sid: 'sid-1', state: 'narrowed', narrowedBy: ['n-1'] }),
        view('c', 'b', { state: 'narrowed', narrowedBy: ['n-1'] }),
        view('d', 'b', { delegates: true, agent: 'did:key:zSub', state: 'revoked', revokedBy: 'r-1' }),
        view('e', 'd', { agent: 'did:key:zSub', state: 'fallen', revokedBy: 'r-1' }),
        view('f', 'a', { sid: 'sid-2', state: 'revoked' }),
      ],
      [narrowing, revocation],
    );
    expect(text.match(/narrowed 2027.*/g)).toEqual([
      `narrowed ${SEEN} as session sid-1, to: embed; no model; any tool, by did:key:zOperator, "för dyrt", restriction n-1`,
    ]);
    expect(text.match(/revoked .*/g)).toEqual([
      `revoked ${SEEN} as agent did:key:zSub, by did:key:zOperator, restriction r-1`,
      'revoked by a restriction that cannot be read',
    ]);
    expect(text.match(/\b[A-Z]{6,}\b/g)).toEqual(['NARROWED', 'NARROWED', 'REVOKED', 'FALLEN', 'REVOKED']);
  });

  test.each([20, 40, 80])('fits into %i columns, and has every character all the same', (width) => {
    const agent = `did:webvh:${'Q'.repeat(60)}:vault.example:agents:acme:${'long-'.repeat(20)}end`;
    const text = draw([view('a', undefined, { agent }), view('b', 'a', { sid: 's'.repeat(256) })], [], width);
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(Math.max(width, 20 + 12));
    const letters = text.replace(/[\s│├└─]/g, '');
    expect(letters).toContain(agent);
    expect(letters).toContain('s'.repeat(256));
  });
});

describe('text of others', () => {
  test('cannot move the cursor, turn a line round, hide, or pass for another name', () => {
    const hostile = 'a\u001b[2Jb\u202ec\u200bd\nе\u00a0f\u0301\u3164';
    const draws = draw([
      view('a', undefined, {
        details: { type: 'llm_access', actions: ['chat'], models: [`openai/${hostile}`], tools: [hostile] },
      }),
    ]);
    expect(draws).toContain(`tools a\\u{1b}[2Jb\\u{202e}c\\u{200b}d\\u{a}\\u{435}\\u{a0}f\\u{301}\\u{3164}`);
    expect(draws).toMatch(/^[\x20-\x7e\n│├└─]*$/);
  });

  test('is told from what stands for it', () => {
    expect(shownName('\\u{41}')).toBe('\\\\u{41}');
    expect(shownName('A')).toBe('A');
    expect(shownSentence('för dyrt, Ωmega, слово')).toBe('för dyrt, Ωmega, слово');
    expect(shownSentence('a\u001b\u202e漢\u00ad')).toBe('a\\u{1b}\\u{202e}\\u{6f22}\\u{ad}');
  });

  test('a time that no calendar has does not end the program', () => {
    expect(shownTime(Number.MAX_SAFE_INTEGER)).toBe('the end of time');
    expect(shownTime(0)).toBe('1970-01-01T00:00:00Z');
  });
});

test('what a link may do is told as far as it differs, an amount with its point', () => {
  const budget = { amount: 5, unit: 'USD', decimals: 2 };
  const above = { type: 'llm_access' as const, actions: ['chat' as const], models: ['openai/a'], budget };
  expect(grantWords(above)).toEqual(['chat', 'models openai/a', 'any tool', 'budget 0.05 USD']);
  expect(grantWords(above, above)).toEqual([]);
  const narrower = {
    ...above,
    tools: ['t'],
    max: { output_tokens: 5, tools: 1 },
    budget: { ...budget, amount: 1 },
    attestation: 2,
  };
  expect(grantWords(narrower, above)).toEqual([
    'tools t',
    'at most 5 output tokens',
    'at most 1 tools a request',
    'budget 0.01 USD',
    'attestation 2',
  ]);
});
