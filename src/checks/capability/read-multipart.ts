// Text fields of a multipart/form-data body (RFC 7578), read so strictly that no other parser can see other fields.
// Profile section 3: where two parsers could disagree, the request is denied. File contents are skipped, never decoded.

import { type JsonObject, Undetermined } from './provider-api.ts';

const CONTENT_TYPE = /^multipart\/form-data;[ \t]*boundary=(?:([\w'+.-]{1,70})|"([\w'+.-]{1,70})")$/i;
const HEADER = /^(content-disposition|content-type|content-length): ([\x20-\x7e\x80-\xff]*)$/i;
const DISPOSITION = /^form-data; name="([\w.-]{1,64})(\[\w{0,64}\])?"(?:; filename="([^"\\]+)")?$/;
const TEXT_TYPE = /^text\/plain(?:; ?charset=utf-8)?$/i;
const MOST_PARTS = 256;
const LONGEST_HEAD = 2048;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

interface Part {
  readonly base: string;
  readonly bracket: string | undefined;
  readonly isFile: boolean;
}

/**
 * The parts without a filename: strings, and arrays of strings for names that end in `[]`.
 * Throws {@link Undetermined} unless the body is exactly delimited, with unique names, plain headers and valid UTF-8 text.
 */
export function readMultipart(contentType: string, body: Uint8Array): JsonObject {
  const boundary = CONTENT_TYPE.exec(contentType);
  if (boundary === null)
    throw new Undetermined('send `content-type: multipart/form-data; boundary=…` with a plain boundary and nothing else');
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const token = Buffer.from(boundary[1] ?? boundary[2] ?? '', 'latin1');
  const fields = new Map<string, string | string[]>();
  const shapes = new Map<string, string>();
  if (!bytes.subarray(0, token.length + 2).equals(Buffer.concat([Buffer.from('--'), token]))) {
    throw new Undetermined('the multipart body must begin with its boundary');
  }
  let at = token.length + 2;
  for (let parts = 0; bytes.toString('latin1', at, at + 2) !== '--'; parts += 1) {
    const headEnd = bytes.indexOf('\r\n\r\n', at, 'latin1');
    // The boundary may stand nowhere but after two dashes at the start of a line, or a laxer parser would split there.
    const end = bytes.indexOf(token, at) - 2;
    const whole = bytes.toString('latin1', at, at + 2) === '\r\n' && headEnd > at && headEnd + 6 <= end;
    if (!whole || bytes.toString('latin1', end - 2, end + 2) !== '\r\n--' || headEnd - at > LONGEST_HEAD || parts >= MOST_PARTS) {
      throw new Undetermined('the multipart body is not delimited as RFC 2046 says');
    }
    const content = bytes.subarray(headEnd + 4, end - 2);
    const part = readHead(bytes.toString('latin1', at + 2, headEnd), content.length);
    claimName(shapes, part);
    if (!part.isFile) addField(fields, part, content);
    at = end + 2 + token.length;
  }
  if (!/^--(?:\r\n)?$/.test(bytes.toString('latin1', at, at + 8)))
    throw new Undetermined('nothing may follow the last boundary of the multipart body');
  return Object.fromEntries(fields);
}

function readHead(head: string, length: number): Part {
  const headers = new Map<string, string>();
  for (const line of head.split('\r\n')) {
    const match = HEADER.exec(line);
    const name = match?.[1]?.toLowerCase();
    if (name === undefined || headers.has(name)) {
      throw new Undetermined('send only `content-disposition`, `content-type` and `content-length`, once each, in every part');
    }
    headers.set(name, match?.[2] ?? '');
  }
  const disposition = DISPOSITION.exec(headers.get('content-disposition') ?? '');
  const base = disposition?.[1];
  if (disposition === null || base === undefined || base === '_charset_' || mayHoldParameter(disposition[3])) {
    throw new Undetermined('send `content-disposition: form-data; name="…"` with at most a plain `filename="…"` in every part');
  }
  const isFile = disposition[3] !== undefined;
  const type = headers.get('content-type');
  if (type !== undefined && (isFile ? /^(?:multipart|message)\//i.test(type) : !TEXT_TYPE.test(type))) {
    throw new Undetermined('send text parts as `text/plain` in UTF-8 and no part within a part');
  }
  if ((headers.get('content-length') ?? String(length)) !== String(length))
    throw new Undetermined('a part is not as long as its `content-length` says');
  return { base, bracket: disposition[2], isFile };
}

/** A semicolon in a filename is one only where nothing behind it could be taken for a parameter. */
function mayHoldParameter(filename = ''): boolean {
  const semicolon = filename.indexOf(';');
  return semicolon !== -1 && filename.includes('=', semicolon);
}

/** A name stands once; `x[]` may repeat; `x`, `x[]` and `x[y]` exclude each other, because parsers join them differently. */
function claimName(shapes: Map<string, string>, { base, bracket, isFile }: Part): void {
  const shape = `${isFile ? 'file' : 'text'} ${bracket === undefined ? 'plain' : bracket === '[]' ? 'list' : 'nested'}`;
  const full = `${base}${bracket ?? ''}`;
  const repeats = bracket !== '[]' && shapes.has(`= ${full}`);
  if (repeats || (shapes.get(base) ?? shape) !== shape)
    throw new Undetermined('a field of the multipart body is given twice; send it once');
  shapes.set(base, shape).set(`= ${full}`, shape);
}

function addField(fields: Map<string, string | string[]>, { base, bracket }: Part, content: Uint8Array): void {
  let text: string;
  try {
    text = utf8.decode(content);
  } catch {
    throw new Undetermined('send text fields of the multipart body in UTF-8');
  }
  const name = `${base}${bracket ?? ''}`;
  const before = fields.get(name);
  if (bracket === '[]') fields.set(name, Array.isArray(before) ? [...before, text] : [text]);
  else fields.set(name, text);
}
