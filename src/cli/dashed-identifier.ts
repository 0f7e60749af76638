// One in 64 session ids, token ids and key thumbprints begins with a hyphen, and a parser of options takes it for some. Whoever has
// to revoke one should not have to know that.

/** Commands whose last operand is such an identifier. */
const COMMANDS = ['revoke', 'narrow', 'session', 'tree'];
/** Options whose value may be such an identifier, or be left out: then the parser takes none that looks like an option. */
const OPTIONS = ['--session', '--task'];
/** As long as those are: 16 random bytes, or a SHA-256. No option of one hyphen is. */
const DASHED = /^-[A-Za-z0-9_][\w-]{20,}$/;

/** @param argv from the command on @returns the same, with such an operand behind `--` at the end, and such a value behind a `=` */
export function shieldIdentifier(argv: readonly string[]): string[] {
  const words = joinValues(argv);
  if (!COMMANDS.includes(words[0] ?? '') || words.includes('--')) return words;
  const at = words.findIndex((word, index) => {
    const before = words[index - 1] ?? '';
    // After any other option it is the option's value.
    return DASHED.test(word) && (!before.startsWith('-') || before === '--json' || before.includes('='));
  });
  const identifier = words[at];
  if (identifier === undefined) return words;
  return [...words.slice(0, at), ...words.slice(at + 1), '--', identifier];
}

function joinValues(argv: readonly string[]): string[] {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const words: string[] = [];
  for (const [index, word] of argv.entries()) {
    const option = words.at(-1) ?? '';
    if (index < end && OPTIONS.includes(option) && DASHED.test(word)) words[words.length - 1] = `${option}=${word}`;
    else words.push(word);
  }
  return words;
}
