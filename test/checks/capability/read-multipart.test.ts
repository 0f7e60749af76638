// multipart/form-data: what real clients send is read, and what two parsers could read differently is refused.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Undetermined } from '../../../src/checks/capability/provider-api.ts';
import { readMultipart } from '../../../src/checks/capability/read-multipart.ts';
import { refusal } from './wants.ts';

const TYPE = 'multipart/form-data; boundary=XX';
const bytes = (text: string) => Buffer.from(text, 'latin1');
const field = (name: string, value: string) => `--XX\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const part = (head: string, value = 'v') => `--XX\r\n${head}\r\n\r\n${value}\r\n--XX--\r\n`;
const file =
  '--XX\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n\u0000\u00ff\r\n--X\r\n\r\n';
const END = '--XX--\r\n';

describe('readMultipart', () => {
  it('reads text fields and skips files', () => {
    const body = file + field('model', 'whisper-1') + field('include[]', 'a') + field('include[]', 'b') + field('x[y]', '') + END;
    expect(readMultipart(TYPE, bytes(body))).toEqual({ model: 'whisper-1', 'include[]': ['a', 'b'], 'x[y]': '' });
  });
  it('reads what the platform writes', async () => {
    const form = new FormData();
    form.append('model', 'gpt-image-1');
    form.append('prompt', 'Füchse\n--im Wald');
    form.append('image[]', new File([new Uint8Array(300_000).fill(13)], 'ü.png', { type: 'image/png' }));
    form.append('image[]', new File(['x'], 'b.png', { type: 'image/png' }));
    const request = new Request('http://localhost', { method: 'POST', body: form });
    const type = request.headers.get('content-type') ?? '';
    expect(readMultipart(type, new Uint8Array(await request.arrayBuffer()))).toEqual({
      model: 'gpt-image-1',
      prompt: 'Füchse\r\n--im Wald',
    });
  });
  it('takes a filename with a semicolon where nothing behind it looks like a parameter', () => {
    const head = 'Content-Disposition: form-data; name="file"; filename="Talk (1); 2.wav"';
    expect(readMultipart(TYPE, bytes(part(head)))).toEqual({});
  });
  it.each([
    ['a quoted boundary', 'multipart/form-data; boundary="XX"', field('a', 'b') + END],
    ['no line end after the last boundary', TYPE, `${field('a', 'b')}--XX--`],
    [
      'types and lengths of parts',
      TYPE,
      part('content-type: text/plain; charset=utf-8\r\ncontent-length: 1\r\ncontent-disposition: form-data; name="a"', 'b'),
    ],
  ])('reads %s', (_, type, body) => {
    expect(readMultipart(type, bytes(body))).toEqual({ a: 'b' });
  });

  it.each([
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary=""',
    'multipart/mixed; boundary=XX',
    'multipart/form-data; boundary=XX; boundary=YY',
    'multipart/form-data; boundary=XX; charset=utf-8',
    'multipart/form-data; boundary="XX',
    'multipart/form-data; boundary=X X',
    'multipart/form-data; boundary*=XX',
    `multipart/form-data; boundary=${'X'.repeat(71)}`,
    'multipart/form-data; boundary=XX,YY',
  ])('refuses the content type %j', (type) => {
    expect(refusal(() => readMultipart(type, bytes(field('a', 'b') + END)))).toMatch(/content-type/);
  });

  it.each<[string, string]>([
    ['an empty body', ''],
    ['a preamble', `x\r\n${field('a', 'b')}${END}`],
    ['a line end before the first boundary', `\r\n${field('a', 'b')}${END}`],
    ['an epilogue', `${field('a', 'b')}${END}${field('model', 'evil')}${END}`],
    ['no last boundary', field('a', 'b')],
    ['half a last boundary', `${field('a', 'b')}--XX-`],
    ['a boundary after a bare LF', `${field('a', 'b\n--XX\nx')}${END}`],
    ['a boundary in the middle of a line', `${field('a', 'b --XX c')}${END}`],
    ['a boundary without dashes', `${field('a', 'b\r\nXX')}${END}`],
    ['a longer boundary', `${field('a', 'b\r\n--XXY')}${END}`],
    ['padding after a boundary', field('a', 'b').replace('--XX\r\n', '--XX \r\n') + END],
    ['bare LF line ends', (field('a', 'b') + END).replaceAll('\r\n', '\n')],
    ['a head without end', '--XX\r\nContent-Disposition: form-data; name="a"\r\n--XX--\r\n'],
    ['a head that ends at the boundary', '--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n--XX--\r\n'],
    ['the same field twice', field('model', 'a') + field('model', 'b') + END],
    ['a field and its list', field('model', 'a') + field('model[]', 'b') + END],
    ['a field and its member', field('model', 'a') + field('model[0]', 'b') + END],
    ['the same member twice', field('x[a]', 'a') + field('x[a]', 'b') + END],
    ['a field and a file of one name', field('file', 'a') + file + END],
    ['two files of one name', file + file + END],
    ['no disposition', part('Content-Type: text/plain')],
    ['two dispositions', part('Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"')],
    ['another disposition', part('Content-Disposition: attachment; name="a"')],
    ['no name', part('Content-Disposition: form-data')],
    ['two names', part('Content-Disposition: form-data; name="a"; name="model"')],
    ['a name without quotes', part('Content-Disposition: form-data; name=a')],
    ['an extended filename', part('Content-Disposition: form-data; name="model"; filename*=utf-8\'\'x')],
    ['a filename and an extended one', part('Content-Disposition: form-data; name="model"; filename="a"; filename*=utf-8\'\'x')],
    ['an extended name', part("Content-Disposition: form-data; name*=utf-8''model")],
    ['an empty filename', part('Content-Disposition: form-data; name="model"; filename=""')],
    ['an escaped quote', part('Content-Disposition: form-data; name="a\\"; filename="x"')],
    ['many semicolons in a filename', part(`Content-Disposition: form-data; name="file"; filename="${';'.repeat(1900)}="`)],
    ['a semicolon in a filename', part('Content-Disposition: form-data; name="file"; filename="a; name=model"')],
    ['a folded header', part('Content-Disposition: form-data;\r\n name="a"')],
    ['a bare CR in a header', part('Content-Disposition: form-data; name="file"; filename="a\rb"')],
    ['NUL in a name', part('Content-Disposition: form-data; name="a\u0000"')],
    ['a transfer encoding', part('Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64', 'Z3B0')],
    ['another header', part('Content-Disposition: form-data; name="a"\r\nX-Y: z')],
    [
      'a nested multipart',
      part('Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: multipart/mixed; boundary=YY'),
    ],
    ['JSON as text', part('Content-Disposition: form-data; name="model"\r\nContent-Type: application/json', '"x"')],
    ['another charset', part('Content-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=utf-7')],
    ['_charset_', part('Content-Disposition: form-data; name="_charset_"', 'utf-7')],
    ['a wrong length', part('Content-Disposition: form-data; name="model"\r\nContent-Length: 9')],
    ['text that is not UTF-8', field('model', '\u00ff') + END],
    ['a long head', part(`Content-Disposition: form-data; name="file"; filename="${'x'.repeat(2100)}"`)],
    ['very many parts', Array.from({ length: 300 }, (_, index) => field(`a${index}`, 'b')).join('') + END],
  ])('refuses %s', (_, body) => {
    expect(refusal(() => readMultipart(TYPE, bytes(body)))).not.toBe('');
  });
});

describe('beside another parser', () => {
  const pieces = [
    '\r\n',
    '\n',
    '\r',
    '--XX',
    '--',
    '"',
    '; ',
    'name="model"',
    'filename="x"',
    'name="a"',
    'Content-Type: text/plain',
    'x',
    '\u0000',
    field('model', 'b'),
    END,
  ];
  const valid = field('model', 'whisper-1') + field('prompt', 'hi') + file + END;

  it('accepts nothing that the platform reads otherwise', async () => {
    let accepted = 0;
    const edit = fc.record({ at: fc.nat(valid.length), drop: fc.nat(6), put: fc.constantFrom('', ...pieces) });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { maxLength: 3 }), async (edits) => {
        let text = valid;
        for (const { at, drop, put } of edits) text = text.slice(0, at) + put + text.slice(at + drop);
        let ours: Record<string, unknown>;
        try {
          ours = readMultipart(TYPE, bytes(text));
        } catch (error) {
          expect(error).toBeInstanceOf(Undetermined);
          return;
        }
        accepted += 1;
        const form = await new Response(bytes(text), { headers: { 'content-type': TYPE } }).formData();
        expect(Object.fromEntries([...form].filter(([, value]) => typeof value === 'string'))).toEqual(ours);
      }),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
});
