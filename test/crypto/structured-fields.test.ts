// The fast patterns and the general parser of RFC 9651 may never disagree: a signature is over the serialisation of what was parsed.

import fc from 'fast-check';
import { type BareItem, type InnerList, parseDictionary, parseList, serializeInnerList, Token } from 'structured-headers';
import { expect, test } from 'vitest';
import {
  parseByteSequences,
  parseGeneralInput,
  parseSignatureInput,
  parseStringList,
} from '../../src/crypto/structured-fields.ts';

/** Texts close to a Signature-Input, right and wrong. */
const piece = fc.constantFrom(
  ...[
    'cap=',
    'sig1=',
    '*a=',
    'Cap=',
    '(',
    ')',
    '"@method"',
    '"@path"',
    '"x-y"',
    '"a\\"b"',
    '"X"',
    ' ',
    '  ',
    ';created=1',
    ';created=01',
  ],
  ...[
    ';created=-1',
    ';created=1.5',
    ';created=999999999999999',
    ';created=1000000000000000',
    ';nonce="n"',
    ';nonce="a\\\\b"',
    ';nonce=""',
  ],
  ...[
    ';tag="agent-cap"',
    ';tag=agent-cap',
    ';alg',
    ';alg=?0',
    ';x=:AAAA:',
    '; created=2',
    ';created=2 ',
    ', ',
    ',',
    '\t',
    ';sf',
    '"é"',
    ';d=@1',
  ],
);
const plain = fc
  .tuple(
    fc.array(fc.constantFrom('"@method"', '"a"', '"b-c"', '"@query"')),
    fc.array(fc.constantFrom(';created=1', ';n="x ;,="', ';n="y"', ';e=0', ';tag="t"')),
  )
  .map(([names, parameters]) => `cap=(${names.join(' ')})${parameters.join('')}`);
const field = fc.oneof(
  fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
  plain,
);

function bytesOf(value: unknown): Buffer | undefined {
  return value instanceof ArrayBuffer ? Buffer.from(value) : undefined;
}

function attempt<T>(call: () => T): T | 'refused' {
  try {
    return call();
  } catch {
    return 'refused';
  }
}

test('a Signature-Input is read alike both ways, and by the library', () => {
  let read = 0;
  fc.assert(
    fc.property(field, (text) => {
      const fast = attempt(() => parseSignatureInput(text));
      expect(fast).toEqual(attempt(() => parseGeneralInput(text)));
      const members = attempt(() => [...parseDictionary(text)].filter(([, [value]]) => Array.isArray(value)));
      if (members === 'refused') expect(fast).toBe('refused');
      else if (members.length > 0) read++;
      for (const [label, member] of members === 'refused' ? [] : members) {
        const mine = fast === 'refused' ? undefined : fast.get(label);
        expect(mine?.signatureParams).toBe(serializeInnerList(member as InnerList));
        expect(mine?.parameters).toEqual(member[1] as Map<string, BareItem>);
      }
    }),
    { numRuns: 5000, seed: 1 },
  );
  expect(read).toBeGreaterThan(1000);
});

test.each([
  ['cap=("@method");created=1;created=2', 2],
  ['cap=("@method");created=2;n="x";created=1', 1],
])('of two equal parameters the last counts, and it is serialised once: %s', (text, created) => {
  const member = parseSignatureInput(text).get('cap');
  expect(member?.parameters.get('created')).toBe(created);
  expect(member?.signatureParams.match(/created/g)).toHaveLength(1);
});

test.each([
  ['cap=("a");created=1.0;x="y;z=1.0";z=1', '("a");created=1.0;x="y;z=1.0";z=1'],
  ['cap=( "a" ); created=17.00;n=:YQ==:;t=a:b;u=2.0;v=c:d', '("a");created=17.0;n=:YQ==:;t=a:b;u=2.0;v=c:d'],
  ['cap=("a");x="\\";created=2.0";created=1', '("a");x="\\";created=2.0";created=1'],
])('a Decimal stays one: %s', (text, signatureParams) => {
  expect(parseSignatureInput(text).get('cap')?.signatureParams).toBe(signatureParams);
});

test('a Decimal without a fraction is no integer, nor is what has its name in another member', () => {
  const members = parseSignatureInput('cap=("a");created=1.0;expires=61, b=("a");created=1;expires=61.0');
  const numbers = [...members.values()].map(({ parameters }) => [parameters.get('created'), parameters.get('expires')]);
  expect(numbers).toEqual([
    [Number.NaN, Number.NaN],
    [Number.NaN, Number.NaN],
  ]);
});

test.each([
  ['cap=("@method";req)', 'Component parameters'],
  ['cap=(a)', 'not a String'],
  ['cap=(1 "x")', 'not a String'],
])('an irregular component is told: %s', (text, said) => {
  expect(parseSignatureInput(text).get('cap')?.irregular).toContain(said);
});

test('a list of tokens is read as the library reads it', () => {
  const part = fc.constantFrom('"a.b.c"', '"eyJ-_."', '""', ',', ', ', ' ,', '\t', '"a\\"b"', ';q=1', 'token', '1', '"a b"', ' ');
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 6 }).map((parts) => parts.join('')),
      (text) => {
        const mine = attempt(() => parseStringList(text));
        const members = attempt(() => parseList(text));
        const plainStrings =
          members !== 'refused' && members.every(([value, parameters]) => typeof value === 'string' && parameters.size === 0);
        expect(mine).toEqual(plainStrings ? members.map(([value]) => value) : 'refused');
      },
    ),
    { numRuns: 5000, seed: 1 },
  );
});

test('byte sequences are read as the library reads them', () => {
  const part = fc.constantFrom(
    'cap=',
    'b=',
    'a',
    ':AAAA:',
    ':AA==:',
    ':AB==:',
    ':AA:',
    ':A:',
    '::',
    ':AAA=:',
    ':A*AA:',
    '"text"',
    ', ',
    ',',
    ' ',
    ';x=1',
    ':YWJj\n:',
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 5 }).map((parts) => parts.join('')),
      (text) => {
        const mine = attempt(() => parseByteSequences(text));
        const members = attempt(() => parseDictionary(text));
        const expected = members === 'refused' ? members : [...members].map(([name, [value]]) => [name, bytesOf(value)]);
        expect(mine === 'refused' ? mine : [...mine]).toEqual(expected);
      },
    ),
    { numRuns: 5000, seed: 1 },
  );
});

test('a Token is not taken for the String it spells', () => {
  expect(parseSignatureInput('cap=();tag=agent-cap').get('cap')?.parameters.get('tag')).toBeInstanceOf(Token);
});
