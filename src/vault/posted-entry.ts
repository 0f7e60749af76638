// One entry of a log as it was posted: read strictly, and nothing in it verified.

import { JsonError, parseStrictJson } from '../crypto/strict-json.ts';

export interface PostedEntry {
  readonly line: string;
  readonly untrustedVersion: number;
  readonly untrustedDid: string;
  readonly untrustedState: Readonly<Record<string, unknown>>;
}

/** What is wrong with a member of an entry, for the one who posted it. */
export interface EntryProblem {
  readonly field: string;
  readonly detail: string;
}

export function readPostedEntry(line: string): PostedEntry | EntryProblem {
  // A line of did.jsonl ends where these stand, or would be another text once it was written.
  if (/[\p{Cc}\u2028\u2029]/u.test(line) || !line.isWellFormed())
    return { field: 'entry', detail: 'must be one line of did.jsonl, without control characters' };
  let entry: unknown;
  try {
    entry = parseStrictJson(Buffer.from(line));
  } catch (error) {
    if (error instanceof JsonError) return { field: 'entry', detail: `is ${error.message}` };
    throw error;
  }
  if (!isObject(entry)) return { field: 'entry', detail: 'must be a JSON object' };
  const { versionId, state } = entry;
  const version = typeof versionId === 'string' ? /^([1-9][0-9]{0,8})-/.exec(versionId)?.[1] : undefined;
  if (version === undefined) return { field: 'entry.versionId', detail: 'must be NUMBER-HASH' };
  if (!isObject(state)) return { field: 'entry.state', detail: 'must be the DID document' };
  if (typeof state.id !== 'string') return { field: 'entry.state.id', detail: 'must be the DID' };
  return { line, untrustedVersion: Number(version), untrustedDid: state.id, untrustedState: state };
}

/** Paths of members that hold, or are named as if they held, private key material: published once, a key is no secret any more. */
export function findSecrets(state: Readonly<Record<string, unknown>>): string[] {
  const found: string[] = [];
  const open: [path: string, value: unknown][] = [['entry.state', state]];
  while (open.length > 0) {
    const [path, value] = open.pop() ?? ['', undefined];
    if (Array.isArray(value)) open.push(...value.map((element, at): [string, unknown] => [`${path}[${at}]`, element]));
    else if (isObject(value)) {
      for (const [name, member] of Object.entries(value)) {
        if (/private|secret/i.test(name) || ('kty' in value && PRIVATE_MEMBERS.has(name))) found.push(`${path}.${name}`);
        else open.push([`${path}.${name}`, member]);
      }
    }
  }
  return found;
}

/** RFC 7518 section 6, RFC 8037 section 2. */
const PRIVATE_MEMBERS = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
