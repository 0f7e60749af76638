// Text of others, made fit for a terminal (docs/threat-model.md H6): agents choose the names of sessions, tasks and tools, and none
// may move the cursor, turn the direction of a line or pass for another one. Every character that is left takes one column.

/** Names: visible ASCII is left as it is. */
export function shownName(text: string): string {
  return escapeBut(text, (character) => /[!-[\]-~]/.test(character));
}

/** Sentences: letters of alphabets whose letters take one column, too. */
export function shownSentence(text: string): string {
  const plain = /[ -[\]-~\u00a1-\u00ac\u00ae-\u024f]/;
  const letter = /(?=\p{L})[\p{Script=Greek}\p{Script=Cyrillic}]/u;
  return escapeBut(text.normalize('NFC'), (character) => plain.test(character) || letter.test(character));
}

function escapeBut(text: string, isPlain: (character: string) => boolean): string {
  return [...text]
    .map((character) => {
      if (isPlain(character)) return character;
      return character === '\\' ? '\\\\' : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
    })
    .join('');
}

/** @param seconds since the epoch */
export function shownTime(seconds: number): string {
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? 'the end of time' : time.toISOString().replace('.000Z', 'Z');
}
