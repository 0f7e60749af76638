// One in 64 session ids, token ids and key thumbprints begins with a hyphen, and a parser of options takes it for some. Whoever has
// to revoke one should not have to know that.

/** Commands whose last operand is such an identifier. */
const COMMANDS = ['revoke', 'narrow', 'session', 'tree'];
/** As long as those are: 16 random bytes, or a SHA-256. No option of one hyphen is. */
const DASHED = /^-[A-Za-z0-9_][\w-]{20,}$/;

/** @param argv from the command on @returns the same, with such an operand behind `--` at the end */
export function shieldIdentifier(argv: readonly string[]): string[] {
  if (!COMMANDS.includes(argv[0] ?? '') || argv.includes('--')) return [...argv];
  const at = argv.findIndex((word, index) => {
    const before = argv[index - 1] ?? '';
    // After any other option it is the option's value.
    return DASHED.test(word) && (!before.startsWith('-') || before === '--json' || before.includes('='));
  });
  const identifier = argv[at];
  if (identifier === undefined) return [...argv];
  return [...argv.slice(0, at), ...argv.slice(at + 1), '--', identifier];
}
