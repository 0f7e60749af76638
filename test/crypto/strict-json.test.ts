import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonError, parseStrictJson } from '../../src/crypto/strict-json.ts';

const parse = (text: string) => parseStrictJson(Buffer.from(text));

/** Names and texts as full of quotes, colons and backslashes as JSON allows. */
const text = fc.string({
  unit: fc.constantFrom('"', '\\', ':', ' ', '{', '}', ',', 'a', 'é', '\u0000', '\n', '\ud83d\ude00', '__proto__'),
});
const name = text.filter((candidate) => candidate !== '__proto__' && !JSON.stringify(candidate).includes('\\'));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, text, fc.integer(), fc.boolean(), fc.constant(null), tie('array'), tie('object')),
  array: fc.array(tie('value'), { maxLength: 4 }),
  object: fc.dictionary(name, tie('value'), { maxKeys: 4 }),
}));

describe('any value', () => {
  test('comes back from its JSON', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 1, '\t'), (any, space) => {
        expect(parse(JSON.stringify(any, undefined, space))).toEqual(JSON.parse(JSON.stringify(any)));
      }),
      { numRuns: 1000 },
    );
  });

  test('is refused once an object in it repeats a name', () => {
    const repeated = fc.tuple(name, value, value, fc.boolean(), fc.array(fc.constantFrom('[', '{'), { maxLength: 5 }));
    fc.assert(
      fc.property(repeated, ([member, one, other, inEscapes, around]) => {
        const second = inEscapes ? escaped(member) : JSON.stringify(member);
        let object = `{${JSON.stringify(member)}:${JSON.stringify(one)},${second} :${JSON.stringify(other)}}`;
        for (const open of around) object = open === '[' ? `[1,${object}]` : `{"around":${object}}`;
        expect(() => parse(object)).toThrow('a member name is repeated');
      }),
      { numRuns: 1000 },
    );
  });
});

test.each(['{"a\\"":1}', '{"\\\\u00":1}', '{"a":{"\\n":1}}', '{"\\ud800":1}'])(
  'a name that cannot do without an escape is refused: %s',
  (json) => {
    expect(() => parse(json)).toThrow('needs an escape');
  },
);

/** The same name with every code unit as an escape. */
function escaped(member: string): string {
  const units = Array.from({ length: member.length }, (_, at) => member.charCodeAt(at).toString(16).padStart(4, '0'));
  return `"${units.map((unit) => `\\u${unit}`).join('')}"`;
}

test.each([
  ['twice', '{"a":1,"a":2}'],
  ['twice with the same value', '{"a":1,"a":1}'],
  ['once in escapes', '{"model":1,"\\u006dodel":2}'],
  ['once with an escaped slash', '{"a/b":1,"a\\/b":2}'],
  ['deep inside', '[[{"x":{"y":[{"b":0,"c":{},"b":0}]}}]]'],
  ['around white space', '{"a"\n\t :1,\r"a" :2}'],
  ['the empty name', '{"":1,"":2}'],
  ['names of array indices', '{"1":1,"1":2}'],
])('a repeated name is refused: %s', (_, json) => {
  expect(() => parse(json)).toThrow('repeated');
});

// V8 takes a member name by its source text where it expects a known name next, so that after {"name":1,"\\u00":1} it reads the escaped
// name in {"name":1,"\u006eame":2} as the four characters \u00: a repetition that stands in the text and not in the value.
describe('whatever was parsed before', () => {
  const spellings = (member: string) => [escaped(member), `${escaped(member.slice(0, 1)).slice(0, -1)}${member.slice(1)}"`];

  test.each(['n', 'id', 'name', 'type', 'model', 'tools', 'content'])('a repetition of "%s" in escapes is refused', (member) => {
    for (const second of spellings(member)) {
      const primer = JSON.stringify({ [member]: 1, [second.slice(1, 1 + member.length)]: 1 });
      JSON.parse(primer);
      expect(() => parse(`{${JSON.stringify(member)}:1,${second}:2}`)).toThrow(JsonError);
    }
  });

  test.each(['n', 'name', 'model'])('"%s" in escapes is read as that name or refused, and never as another', (member) => {
    for (const spelled of spellings(member)) {
      JSON.parse(JSON.stringify({ first: 1, [spelled.slice(1, 1 + member.length)]: 1 }));
      let read: unknown = { first: 1, [member]: 2 };
      try {
        read = parse(`{"first":1,${spelled}:2}`);
      } catch (error) {
        expect(error).toBeInstanceOf(JsonError);
      }
      expect(read).toEqual({ first: 1, [member]: 2 });
    }
  });
});

test.each([
  ['a text that looks like members', { a: '{"a":1,"a":2}' }],
  ['a text that ends in a backslash', { a: '\\', b: '\\\\', c: '\\"' }],
  ['a text before a colon in another text', ['":', '":"', '\\":']],
  ['the same name in two objects', [{ a: 1 }, { a: 1 }, { a: { a: 1 } }]],
])('not taken for a repetition: %s', (_, any) => {
  expect(parse(JSON.stringify(any))).toEqual(any);
});

test.each(['{"__proto__":{"admin":true}}', '[{"a":{"__proto__":1}}]', '{"\\u005f_proto__":1}'])('%s is refused', (json) => {
  expect(() => parse(json)).toThrow('__proto__');
});

test('a member named constructor or prototype is an ordinary one', () => {
  expect(parse('{"constructor":1,"prototype":2,"toString":3}')).toEqual({ constructor: 1, prototype: 2, toString: 3 });
});

test.each([
  ['arrays', '[', ']'],
  ['objects', '{"a":', '}'],
])('a million nested %s end in an answer and not in the end of the program', (_, open, close) => {
  const depth = 1_000_000;
  for (const json of [open.repeat(depth), `${open.repeat(depth)}1${close.repeat(depth)}`]) {
    let outcome: unknown;
    try {
      outcome = parse(json);
    } catch (error) {
      outcome = error;
    }
    if (outcome instanceof Error) expect(outcome).toBeInstanceOf(JsonError);
    else expect(typeof outcome).toBe('object');
  }
});

test('a long text full of escapes costs time in proportion to its length', () => {
  // Quadratic work on 8 MB would take minutes.
  const json = `{"prompt":"${'\\\\'.repeat(2_000_000)}${'\\"'.repeat(2_000_000)}"}`;
  const started = performance.now();
  parse(json);
  expect(performance.now() - started).toBeLessThan(5000);
});

test.each([
  ['a lone continuation byte', Buffer.from([0x22, 0x80, 0x22])],
  ['an overlong quote', Buffer.from([0x22, 0xc0, 0xa2, 0x22])],
  ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ['UTF-16', Buffer.from('{"a":"\u00e9"}', 'utf16le').subarray(0, 9)],
  ['ISO 8859-1', Buffer.from('{"a":"\u00e9"}', 'latin1')],
])('not UTF-8: %s', (_, bytes) => {
  expect(() => parseStrictJson(bytes)).toThrow(JsonError);
});

test.each(['', ' ', '{', "{'a':1}", '{"a":1,}', '{a:1}', 'NaN', '01', '1 2', '\ufeff{}', '{"a":1}//', '"\n"'])(
  'not JSON: %j',
  (json) => {
    expect(() => parse(json)).toThrow('not JSON');
  },
);

test('a view into a larger buffer is read by its own bounds', () => {
  const whole = Buffer.from('xx{"a":1}yy');
  expect(parseStrictJson(new Uint8Array(whole.buffer, whole.byteOffset + 2, 7))).toEqual({ a: 1 });
});

describe('more parts than any API takes are refused before they are parsed', () => {
  const array = (count: number, element: string) => `{"a":[${Array.from({ length: count }, () => element).join()}]}`;
  const members = (count: number, prefix: string) => `{${Array.from({ length: count }, (_, at) => `"${prefix}${at}":1`).join()}}`;

  test.each([
    ['members', 'members', members(30_001, 'm')],
    ['members in many objects', 'members', array(30_001, '{"m":1}')],
    ['empty objects', 'values', array(130_000, '{}')],
    ['numbers', 'values', array(250_001, '1')],
    ['strings', 'values', array(125_001, '"x"')],
    ['strings without a comma, which are no JSON', 'values', '"'.repeat(600_000)],
    ['arrays in arrays', 'nests too deeply', `{"a":${'['.repeat(500)}${']'.repeat(500)}}`],
    ['arrays in arrays that never close', 'nests too deeply', '['.repeat(100_000)],
    ['a long name', 'name is too long', `{"${'n'.repeat(1024)}":1}`],
    ['escaped names', 'escaped member names', members(1001, '\\u006d')],
  ])('%s', (_, why, json) => {
    expect(() => parse(json)).toThrow(`too large: `);
    expect(() => parse(json)).toThrow(why);
  });

  test.each([
    [
      'a long conversation',
      JSON.stringify({
        messages: Array.from({ length: 5000 }, () => ({ role: 'user', content: [{ type: 'text', text: 'x"\n' }] })),
      }),
    ],
    ['tokens to be embedded', JSON.stringify({ input: Array.from({ length: 240_000 }, () => 50_256) })],
    [
      'arguments of tools, which are JSON in a string',
      JSON.stringify({ a: JSON.stringify(Array.from({ length: 200_000 }, () => 'x')) }),
    ],
    ['a string of many escapes of every kind', JSON.stringify({ a: '"\\"'.repeat(50_000), b: '\\', c: '"' })],
    ['a name of 1,023 characters', JSON.stringify({ ['n'.repeat(1023)]: 1 })],
  ])('%s is taken', (_, json) => {
    expect(parse(json)).toEqual(JSON.parse(json));
  });

  test('what does not end is not JSON', () => {
    for (const json of ['{"a', '{"a":"\\', `{"a":"${'\\"'.repeat(40)}`, '"', '{"a\\"'])
      expect(() => parse(json)).toThrow('not JSON');
  });
});
