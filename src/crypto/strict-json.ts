// JSON in which two parsers cannot disagree: valid UTF-8, and no member name twice in one object.
// JSON.parse keeps the last of two equal names where other parsers keep the first, so the members that it kept are
// counted against the names that stand in the text. Strings are skipped with indexOf, which is why long prompts cost little.

import { isUtf8 } from 'node:buffer';

export class JsonError extends Error {
  override readonly name = 'JsonError';
}

/** @throws {JsonError} when the bytes are not UTF-8, not JSON, or repeat a member name. */
export function parseStrictJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw new JsonError('not UTF-8');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new JsonError('not JSON');
  }
  const plain = respellNames(text);
  if (plain !== text) value = JSON.parse(plain);
  if (countNames(plain) !== countMembers(value)) throw new JsonError('ambiguous: a member name is repeated');
  return value;
}

/**
 * The text with each escaped member name spelled without escapes. V8 (13.6) takes a name by its source text where it expects
 * a known one next: once a name of backslashes was parsed, an escaped spelling of another name is read as that one, and a
 * repetition would stand in no value. docs/decisions/0010 has the inputs.
 * @throws {JsonError} for a name that cannot do without an escape: no API has one.
 */
function respellNames(text: string): string {
  if (!text.includes('\\')) return text;
  let respelled = '';
  let copied = 0;
  let open = text.indexOf('"');
  while (open !== -1) {
    const close = closingQuote(text, open);
    const after = skipWhiteSpace(text, close + 1);
    const name = text.charCodeAt(after) === 0x3a ? text.slice(open, close + 1) : '';
    if (name.includes('\\')) {
      const spelled = JSON.stringify(JSON.parse(name));
      if (spelled.includes('\\')) throw new JsonError('ambiguous: a member name needs an escape');
      respelled += text.slice(copied, open) + spelled;
      copied = close + 1;
    }
    open = text.indexOf('"', after);
  }
  return respelled + text.slice(copied);
}

/** Strings followed by a colon, in text that is known to be JSON. */
function countNames(text: string): number {
  let names = 0;
  let open = text.indexOf('"');
  while (open !== -1) {
    const close = closingQuote(text, open);
    const after = skipWhiteSpace(text, close + 1);
    if (text.charCodeAt(after) === 0x3a) names++;
    open = text.indexOf('"', after);
  }
  return names;
}

function closingQuote(text: string, open: number): number {
  let close = text.indexOf('"', open + 1);
  while (isEscaped(text, close)) close = text.indexOf('"', close + 1);
  return close;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes++;
  return backslashes % 2 === 1;
}

function skipWhiteSpace(text: string, from: number): number {
  let at = from;
  for (let code = text.charCodeAt(at); code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09; )
    code = text.charCodeAt(++at);
  return at;
}

/** Iterative, since a hostile body may nest deeper than the stack reaches. */
function countMembers(root: unknown): number {
  let members = 0;
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      for (const element of value) if (typeof element === 'object' && element !== null) open.push(element);
      continue;
    }
    for (const name in value) {
      // An own `__proto__` becomes the prototype of whatever copies the object.
      if (name === '__proto__') throw new JsonError('ambiguous: a member is named __proto__');
      members++;
      const member = (value as Record<string, unknown>)[name];
      if (typeof member === 'object' && member !== null) open.push(member);
    }
  }
  return members;
}
