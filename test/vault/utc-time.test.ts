import { expect, test } from 'vitest';
import { parseUtcTime, parseZonedTime } from '../../src/vault/utc-time.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

test.each([
  ['2026-05-04T12:00:00Z', NOON],
  ['2026-05-04T12:00:00.5+00:00', NOON + 500],
  ['2026-05-04T14:00:00+02:00', NOON],
  ['2026-05-04T05:30:00-06:30', NOON],
  ['2026-05-04T12:00:00', undefined],
  ['2026-02-31T12:00:00Z', undefined],
  ['2026-02-31T12:00:00+02:00', undefined],
  ['2026-05-04T12:00:00+15:00', undefined],
  ['2026-05-04T24:00:00Z', undefined],
  ['May 4', undefined],
  ['1', undefined],
])('%s', (text, time) => {
  expect(parseZonedTime(text)).toBe(time);
  if (!/[+-]\d\d:\d\d$/.test(text) || text.endsWith('+00:00')) expect(parseUtcTime(text)).toBe(time);
});
