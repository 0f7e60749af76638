// Times as documents and logs write them: XML Schema's dateTimeStamp, in UTC.

const UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|\+00:00)$/;

/** @returns milliseconds since the epoch; `undefined` for a time of another zone, without one, or that is on no calendar. */
export function parseUtcTime(text: string): number | undefined {
  const millis = UTC.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(millis)) return undefined;
  // Date.parse takes June 31st for July 1st.
  return new Date(millis).toISOString().slice(0, 19) === text.slice(0, 19) ? millis : undefined;
}

const ZONE = /(?<sign>[+-])(?<hours>\d\d):(?<minutes>[0-5]\d)$/;

/** As a person or another program may write it: of any zone, but of one. @returns as {@link parseUtcTime} */
export function parseZonedTime(text: string): number | undefined {
  const { sign, hours, minutes } = ZONE.exec(text)?.groups ?? {};
  if (sign === undefined) return parseUtcTime(text);
  const there = parseUtcTime(text.replace(ZONE, 'Z'));
  const ahead = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return there === undefined || Number(hours) > 14 ? undefined : there - (sign === '+' ? ahead : -ahead);
}
