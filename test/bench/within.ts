/** The value of an option of a bench. @throws for anything but a whole number within both bounds */
export function within(text: string, option: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new Error(`${option} takes a whole number from ${least} to ${most}`);
  return value;
}
