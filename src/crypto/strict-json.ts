// JSON in which two parsers cannot disagree: valid UTF-8, and no member name twice in one object. Its parts are counted before it is
// parsed: megabytes of tiny ones would hold up whoever shares the event loop for seconds.
// JSON.parse keeps the last of two equal names where other parsers keep the first, so the members that it kept are
// counted against the names that stand in the text. Strings are skipped with indexOf, which is why long prompts cost little.

import { isUtf8 } from 'node:buffer';

export class JsonError extends Error {
  override readonly name = 'JsonError';
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** A conversation of 5,000 messages of several parts each is within it. */
const MOST_NAMES = 30_000;
/** Strings, commas and opening brackets; 200,000 token numbers to be embedded are within it. */
const MOST_PARTS = 250_000;
/** V8 finds names of 16 KiB and more by their length alone, each among all others. */
const LONGEST_NAME = 1024;
const DEEPEST = 500;
/** Nobody writes them but who tries what happens; each is spelled anew. */
const MOST_ESCAPED_NAMES = 1000;
/** In one string: from there on each character is looked at. */
const MANY_ESCAPED_QUOTES = 16;

/** @throws {JsonError} when the bytes are not UTF-8, not JSON, repeat a member name, or have more parts than any API takes. */
export function parseStrictJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) throw new JsonError('not UTF-8');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const { names, escaped } = countNames(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new JsonError('not JSON');
  }
  if (escaped > 0) value = JSON.parse(respellNames(text));
  if (names !== countMembers(value)) throw new JsonError('ambiguous: a member name is repeated');
  return value;
}

/**
 * The text with each escaped member name spelled without escapes. V8 (13.6) takes a name by its source text where it expects
 * a known one next: once a name of backslashes was parsed, an escaped spelling of another name is read as that one, and a
 * repetition would stand in no value. docs/decisions/0010 has the inputs.
 * @throws {JsonError} for a name that cannot do without an escape: no API has one.
 */
function respellNames(text: string): string {
  let respelled = '';
  let copied = 0;
  let open = text.indexOf('"');
  while (open !== -1) {
    const close = closingQuote(text, open);
    const after = skipWhiteSpace(text, close + 1);
    const name = text.charCodeAt(after) === COLON ? text.slice(open, close + 1) : '';
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

/**
 * Strings followed by a colon, which are the names in what turns out to be JSON.
 * @throws {JsonError} for too many of them or of anything else
 */
function countNames(text: string): { names: number; escaped: number } {
  let names = 0;
  let escaped = 0;
  let parts = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        parts++;
        const close = closingQuote(text, at);
        if (close === -1) return { names, escaped };
        const after = skipWhiteSpace(text, close + 1);
        if (text.charCodeAt(after) === COLON) {
          if (++names > MOST_NAMES) throw new JsonError('too large: it has too many members');
          if (close - at > LONGEST_NAME) throw new JsonError('too large: a member name is too long');
          if (hasBackslash(text, at, close) && ++escaped > MOST_ESCAPED_NAMES)
            throw new JsonError('too large: it has too many escaped member names');
        }
        at = after - 1;
        break;
      }
      case COMMA:
        parts++;
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        parts++;
        if (++depth > DEEPEST) throw new JsonError('too large: it nests too deeply');
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth--;
    }
    if (parts > MOST_PARTS) throw new JsonError('too large: it has too many values');
  }
  return { names, escaped };
}

function hasBackslash(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (text.charCodeAt(at) === BACKSLASH) return true;
  return false;
}

/** @returns -1 when there is none */
function closingQuote(text: string, open: number): number {
  let close = text.indexOf('"', open + 1);
  for (let escaped = 0; close !== -1 && isEscaped(text, close); close = text.indexOf('"', close + 1)) {
    if (++escaped < MANY_ESCAPED_QUOTES) continue;
    for (let at = close + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) return at;
      if (code === BACKSLASH) at++;
    }
    return -1;
  }
  return close;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
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
