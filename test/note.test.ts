import { describe, expect, test } from 'vitest';
import { Note } from '../src/note.ts';

describe('a note', () => {
  test('is kept for its object alone, and replaced', () => {
    const note = new Note<object, number>('a test');
    const [one, other] = [{}, {}];
    expect(note.get(one)).toBeUndefined();
    note.set(one, 1);
    note.set(one, 2);
    expect([note.get(one), note.get(other)]).toEqual([2, undefined]);
  });

  test('is not seen by another note of the same description', () => {
    const object = {};
    new Note<object, number>('a test').set(object, 1);
    expect(new Note<object, number>('a test').get(object)).toBeUndefined();
  });

  test('goes neither into a copy nor into JSON', () => {
    const note = new Note<object, number>('a test');
    const object = { member: 1 };
    note.set(object, 2);
    expect(note.get({ ...object })).toBeUndefined();
    expect(note.get(structuredClone(object))).toBeUndefined();
    expect(JSON.stringify(object)).toBe('{"member":1}');
  });

  test('says nothing of what an object inherits', () => {
    const note = new Note<object, number>('a test');
    const above = {};
    note.set(above, 1);
    const below = Object.create(above) as object;
    note.set(below, 2);
    expect([note.get(above), note.get(below)]).toEqual([1, 2]);
  });
});
