// Members of Gemini's JSON, which Google reads in camelCase and in snake_case alike (profile section 3).
// Both spellings become the snake_case one here, so that no reader can look at one and miss the other.

import { type Json, type JsonObject, Undetermined } from '../provider-api.ts';
import { asObject, quoted } from './members.ts';

export type Members = ReadonlyMap<string, Json>;

/** The object's members by snake_case name, without those that are `null`; with `known` given, any other is refused. */
export function members(object: JsonObject, where: string, known?: ReadonlySet<string>): Members {
  const seen = new Set<string>();
  const found = new Map<string, Json>();
  for (const [spelled, value] of Object.entries(object)) {
    const name = spelled.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (seen.has(name)) throw new Undetermined(`${quoted(name)} stands in ${where} in two spellings; send one`);
    if (known !== undefined && !known.has(name))
      throw new Undetermined(`${quoted(spelled)} is not known in ${where}; leave it out`);
    seen.add(name);
    if (value !== null) found.set(name, value);
  }
  return found;
}

/** The objects of a repeated field; Google takes a single object for an array of one. */
export function repeated(value: Json | undefined, where: string): readonly JsonObject[] {
  if (value === undefined) return [];
  const entry = `every entry of ${where}`;
  return (Array.isArray(value) ? value : [value]).map((item) => asObject(item, entry));
}
