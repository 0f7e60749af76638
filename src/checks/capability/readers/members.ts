// Strict reading of single members of a verified JSON body; every doubt is an `Undetermined` (profile section 3).
// Messages repeat short member names only, never a value that the agent sent.

import type { Action } from '../../../token/authorization-details.ts';
import { type Json, type JsonObject, Undetermined } from '../provider-api.ts';

const SHORT_NAME = /^[\w.$[\]-]{1,40}$/;
// ASCII graphic characters but `*`: what no party trims, folds or normalises, and what is no pattern of a capability.
const MODEL = /^[!-)+-~]{1,256}$/;
const TOOL = /^[A-Za-z0-9_.:-]{1,128}$/;
const LABEL = /^[A-Za-z0-9_.-]{1,128}$/;
const OUR_PREFIXES = /^(?:mcp|skill|stored):/;

/** The member's name in backticks, or `a member` when the name itself is not fit to print. */
export function quoted(member: string): string {
  return SHORT_NAME.test(member) ? `\`${member}\`` : 'a member';
}

/** The object's own member; `null` counts as absent, as the providers' schemas say nullable. */
export function read(object: JsonObject, member: string): Json | undefined {
  return Object.hasOwn(object, member) ? (object[member] ?? undefined) : undefined;
}

/** Refuses every member that is not in `known`: an unknown one could name a model, a tool or a limit. `where` completes "in …". */
export function onlyKnown(object: JsonObject, known: ReadonlySet<string>, where: string): void {
  for (const member of Object.keys(object)) {
    if (!known.has(member)) throw new Undetermined(`${quoted(member)} is not known in ${where}; leave it out`);
  }
}

/** Words of names that could choose a model, a tool, a limit or a stored part of the request, or bring a credential of its own. */
const TELLING_NAME =
  /model|tool|function|plugin|server|agent|engine|deployment|prompt|route|fallback|provider|token|limit|key|secret|auth|credential|password/i;

/** For a body: like {@link onlyKnown}, but an unknown scalar passes, since providers add settings faster than tables follow. */
export function onlyTold(body: JsonObject, known: ReadonlySet<string>, where: string): void {
  for (const [member, value] of Object.entries(body)) {
    if (known.has(member) || (typeof value !== 'object' && SHORT_NAME.test(member) && !TELLING_NAME.test(member))) continue;
    throw new Undetermined(`${quoted(member)} is not known in ${where}; leave it out`);
  }
}

/** Refuses members whose meaning the gateway cannot see; `reasons` maps each to what to send instead. */
export function refuse(object: JsonObject, reasons: Readonly<Record<string, string>>): void {
  for (const [member, instead] of Object.entries(reasons)) {
    if (read(object, member) !== undefined) throw new Undetermined(`${quoted(member)} is not allowed: ${instead}`);
  }
}

export function asObject(value: Json | undefined, where: string): JsonObject {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Undetermined(`${where} must be an object`);
  return value;
}

/** The objects of an array; an absent one is empty. */
export function objects(value: Json | undefined, where: string): readonly JsonObject[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Undetermined(`${where} must be an array of objects`);
  const entry = `every entry of ${where}`;
  return value.map((item) => asObject(item, entry));
}

/** The name exactly as the provider acts on it: 1 to 256 ASCII graphic characters, nothing trimmed or folded. */
export function modelName(value: Json | undefined): string {
  if (typeof value !== 'string' || !MODEL.test(value)) {
    throw new Undetermined('send `model` as a string of 1 to 256 visible ASCII characters without `*`');
  }
  return value;
}

/** A tool's name or type; it cannot look like one of the gateway's own `mcp:`, `skill:` or `stored:` names. */
export function toolName(value: Json | undefined, where: string): string {
  if (typeof value !== 'string' || !TOOL.test(value) || OUR_PREFIXES.test(value)) {
    throw new Undetermined(`${where} must be a name of 1 to 128 letters, digits, \`_\`, \`.\`, \`:\` or \`-\``);
  }
  return value;
}

/** A name that becomes a part of an `mcp:server/tool` or `skill:id` name, so without `:`, `/` and `*`. */
export function labelName(value: Json | undefined, where: string): string {
  if (typeof value !== 'string' || !LABEL.test(value)) {
    throw new Undetermined(`${where} must be a name of 1 to 128 letters, digits, \`_\`, \`.\` or \`-\``);
  }
  return value;
}

/** `mcp:server/tool` for each allowed tool; an empty or absent list may mean all, so `mcp:server/*`. */
export function mcpTools(server: string, allowed: Json | undefined, where: string): readonly string[] {
  if (allowed === undefined) return [`mcp:${server}/*`];
  if (!Array.isArray(allowed)) throw new Undetermined(`${where} must be an array of tool names`);
  if (allowed.length === 0) return [`mcp:${server}/*`];
  return allowed.map((tool) => `mcp:${server}/${labelName(tool, `every entry of ${where}`)}`);
}

/** A safe integer of at least `least`; absent is `undefined`. A number in a string, a fraction and a negative one are refused. */
export function count(object: JsonObject, member: string, least: number): number | undefined {
  const value = read(object, member);
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
    throw new Undetermined(`send ${quoted(member)} as a whole number of at least ${least}`);
  }
  return value;
}

/** Tokens of one answer times the number of answers. */
export function times(tokens: number | undefined, answers: number | undefined): number | 'unstated' {
  if (tokens === undefined) return 'unstated';
  const product = tokens * (answers ?? 1);
  if (!Number.isSafeInteger(product)) throw new Undetermined('the limit of output tokens is too large; send a smaller one');
  return product;
}

/** What an answer in `modalities` does besides text. `known` maps each of their names to its action. */
export function furtherActions(
  modalities: Json | undefined,
  where: string,
  known: Readonly<Record<string, Action | undefined>>,
): { readonly also?: readonly Action[] } {
  if (modalities === undefined) return {};
  if (!Array.isArray(modalities)) throw new Undetermined(`${where} must be an array`);
  const also = modalities.flatMap((name) => {
    if (typeof name !== 'string' || !Object.hasOwn(known, name))
      throw new Undetermined(`every entry of ${where} must be one of ${Object.keys(known).join(', ')}`);
    return known[name] ?? [];
  });
  return also.length > 0 ? { also } : {};
}

/** A query parameter, where given, must be one of `values`. */
export function queryIsOneOf(query: ReadonlyMap<string, string>, name: string, values: readonly string[]): void {
  const value = query.get(name);
  if (value !== undefined && !values.includes(value))
    throw new Undetermined(`send the query parameter ${quoted(name)} as ${values.join(' or ')}`);
}
