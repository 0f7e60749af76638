// Where the document of a DID stands on the web: did:web (W3C CCG) and did:webvh 1.0, "The DID to HTTPS Transformation".
// Whatever could lead elsewhere than to a named host is refused here, before anything is looked up. One DID, one spelling, one
// URL: two spellings of a location would be two entries in every cache and two names for one key.

import { isIPv6 } from 'node:net';
import { domainToASCII, domainToUnicode } from 'node:url';
import { UnknownDid } from './did-document.ts';

export interface DidWebvhLocation {
  readonly scid: string;
  /** `https://host` or `https://host:port`. */
  readonly origin: string;
  readonly log: URL;
  readonly witness: URL;
  /** Of the log below the origin, e.g. `/agents/acme/reader/did.jsonl`. */
  readonly path: string;
}

/** Characters. Web servers take no longer paths for granted, and a DID stands in every token. */
const LONGEST = 2048;
const SCID = /^[1-9A-HJ-NP-Za-km-z]{46}$/;
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;
const PORT = /^[1-9][0-9]{0,4}$/;
/** By this last label a URL parser takes a host for an IPv4 address: decimal, octal, hexadecimal, of one part to four. */
const NUMBER = /^(?:[0-9]+|0x[0-9a-f]*)$/;
/** What stands for itself in a DID (DID Core section 3.1); all else of ASCII is percent-encoded. */
const IDCHAR = /^[A-Za-z0-9._-]$/;

/** @throws {UnknownDid} */
export function locationOfDidWeb(did: string): URL {
  return fileAt(parseLocation(identifierOf(did, 'web')), 'did.json');
}

/** @throws {UnknownDid} */
export function locationOfDidWebvh(did: string): DidWebvhLocation {
  const [scid, rest] = splitDidWebvh(did);
  const location = parseLocation(rest);
  const log = fileAt(location, 'did.jsonl');
  return { scid, origin: log.origin, log, witness: fileAt(location, 'did-witness.json'), path: log.pathname };
}

/** Of a DID whose location was looked at, or is looked up by its whole text anyway. @throws {UnknownDid} */
export function scidOf(did: string): string {
  return splitDidWebvh(did)[0];
}

/**
 * Tells by their text alone which DIDs have their logs at an origin; whether such a DID can exist is not looked at.
 * @param origin `https://host` or `https://host:port`
 */
export function whetherAt(origin: string): (did: string) => boolean {
  const { hostname, port } = new URL(origin);
  // A DID may spell its host either way.
  const hosts = new Set([hostname, domainToUnicode(hostname)].map((name) => (port === '' ? name : `${name}%3A${port}`)));
  return (did) => {
    const host = did.startsWith('did:webvh:') ? did.split(':', 4)[3] : undefined;
    return host !== undefined && hosts.has(host);
  };
}

/** What stands after `did:webvh:SCID:`: host, port and path as the DID spells them. @throws {UnknownDid} */
export function didWebvhLocationPart(did: string): string {
  const [, rest] = splitDidWebvh(did);
  parseLocation(rest);
  return rest;
}

interface Location {
  /** ASCII, with the port where there is one. */
  readonly host: string;
  /** Decoded. */
  readonly segments: readonly string[];
}

function splitDidWebvh(did: string): [scid: string, rest: string] {
  const identifier = identifierOf(did, 'webvh');
  const colon = identifier.indexOf(':');
  const scid = identifier.slice(0, Math.max(colon, 0));
  if (!SCID.test(scid)) throw new UnknownDid('did:webvh without an SCID of 46 base58 characters');
  return [scid, identifier.slice(colon + 1)];
}

function identifierOf(did: string, method: string): string {
  const prefix = `did:${method}:`;
  if (!did.startsWith(prefix)) throw new UnknownDid(`not a did:${method}`);
  if (did.length > LONGEST) throw new UnknownDid(`did:${method} longer than ${LONGEST} characters`);
  if (!did.isWellFormed()) throw new UnknownDid(`did:${method} is not Unicode`);
  return did.slice(prefix.length);
}

function parseLocation(identifier: string): Location {
  if (/[#?]/.test(identifier)) throw new UnknownDid('the DID has a query or a fragment');
  if (/%25/.test(identifier)) throw new UnknownDid('the DID is percent-encoded twice');
  if (identifier.includes('@')) throw new UnknownDid('the DID has user information before its host');
  if (identifier.includes('[') || isIPv6(identifier)) throw new UnknownDid('the host is an IP address: it must be a name');
  // Of ASCII only what DID Core has; what is not ASCII is looked at part by part.
  if (/[^A-Za-z0-9._:%\-\x80-\u{10ffff}]/u.test(identifier))
    throw new UnknownDid('the DID has a character that must be percent-encoded');
  const [domain = '', ...path] = identifier.split(':');
  const segments = path.map(parseSegment);
  // Its URL would be that of the DID without a path.
  if (segments.length === 1 && segments[0] === '.well-known') throw new UnknownDid('.well-known is left out of a DID');
  return { host: parseHost(domain), segments };
}

function parseHost(domain: string): string {
  const [name = '', port, ...more] = domain.split('%3A');
  if (name === '') throw new UnknownDid('the DID has no host');
  if (name.includes('%')) throw new UnknownDid('the host is percent-encoded: only %3A before a port may stand there');
  if (more.length > 0 || (port !== undefined && !(PORT.test(port) && Number(port) <= 65_535)))
    throw new UnknownDid('the port is not a number from 1 to 65535');
  // The URL would be that of the DID without a port.
  if (port === '443') throw new UnknownDid('port 443 is left out of a DID');
  if (name !== name.toLowerCase()) throw new UnknownDid('the host is not in lower case');
  if (name.endsWith('.')) throw new UnknownDid('the host ends in a dot');
  if (NUMBER.test(name.split('.').at(-1) ?? '')) throw new UnknownDid('the host is an IP address: it must be a name');
  const ascii = domainToASCII(name);
  const labels = ascii.split('.');
  if (ascii.length > 253 || !labels.every((label) => LABEL.test(label))) throw new UnknownDid('the host is not a domain name');
  // Digits and dots of other scripts, and compatibility forms, come back as something else.
  const unicode = domainToUnicode(ascii);
  if ((name !== ascii && name !== unicode) || domainToASCII(unicode) !== ascii)
    throw new UnknownDid('the host is not in the canonical form of IDNA');
  if (labels.at(-1) === 'localhost') throw new UnknownDid('the host is localhost');
  return port === undefined ? ascii : `${ascii}:${port}`;
}

function parseSegment(segment: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    throw new UnknownDid('a path segment is not percent-encoded UTF-8');
  }
  if (decoded === '' || decoded === '.' || decoded === '..') throw new UnknownDid('a path segment is empty or consists of dots');
  if (/[/\\]/.test(decoded)) throw new UnknownDid('a path segment has an encoded slash or backslash');
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(decoded)) throw new UnknownDid('a path segment has an invisible character');
  if (decoded !== decoded.trim()) throw new UnknownDid('a path segment begins or ends with white space');
  if (decoded !== decoded.normalize('NFC')) throw new UnknownDid('a path segment is not in Unicode normalization form C');
  const spelled = percentEncode(decoded, (character) => IDCHAR.test(character));
  // did:webvh shows characters that are not ASCII as they are; DID Core has them percent-encoded.
  const shown = percentEncode(decoded, (character) => IDCHAR.test(character) || character > '\x7f');
  if (segment !== spelled && segment !== shown)
    throw new UnknownDid('a path segment is not in the canonical form of percent-encoding');
  return decoded;
}

function fileAt({ host, segments }: Location, file: string): URL {
  const path = segments.map((segment) => percentEncode(segment, (character) => IDCHAR.test(character) || character === '~'));
  const spelled = `https://${host}/${[...(path.length === 0 ? ['.well-known'] : path), file].join('/')}`;
  const url = new URL(spelled);
  // A URL parser that rewrites what was checked reads something else in it.
  if (url.href !== spelled) throw new UnknownDid('the DID has no canonical URL');
  return url;
}

function percentEncode(text: string, staysAsItIs: (character: string) => boolean): string {
  const encoded = (character: string) =>
    Buffer.from(character).reduce((all, byte) => `${all}%${byte.toString(16).toUpperCase().padStart(2, '0')}`, '');
  return [...text].map((character) => (staysAsItIs(character) ? character : encoded(character))).join('');
}
