// JSON that has one canonical form (RFC 8785): strings that are Unicode, numbers that exist, and no nesting that only some readers follow.

/** A DID document nests five deep. */
const DEEPEST = 32;

/** @returns what is wrong, to be put after the name of the value; `undefined` when nothing is. */
export function findIrregularity(root: unknown): string | undefined {
  let level: unknown[] = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > DEEPEST) return `nests deeper than ${DEEPEST}`;
    const next: unknown[] = [];
    for (const value of level) {
      if (typeof value === 'string' && !value.isWellFormed()) return 'has a string that is not Unicode';
      if (typeof value === 'number' && !Number.isFinite(value)) return 'has a number that is too large';
      if (typeof value !== 'object' || value === null) continue;
      for (const name of Array.isArray(value) ? [] : Object.keys(value)) {
        if (!name.isWellFormed()) return 'has a name that is not Unicode';
      }
      for (const member of Object.values(value)) next.push(member);
    }
    level = next;
  }
  return undefined;
}

/** The text of a stranger or of a library, fit for a message. */
export function printable(text: string): string {
  return text.replaceAll(/[^ -~]/g, '?').slice(0, 300);
}
