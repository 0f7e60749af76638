// The structured fields of the profile (RFC 9651), as small values. Fields in the form that every signer sends are taken apart
// by one pattern each; any other spelling goes through the general parser, which costs ten times as much.
// A property test holds the two ways to the same result.

import { type BareItem, type InnerList, parseDictionary, parseList, serializeInnerList } from 'structured-headers';

/** A member of Signature-Input (RFC 9421 section 4.1). */
export interface SignatureInputMember {
  /** Names of the covered components in order. */
  readonly components: readonly string[];
  /** What is wrong with a component that is no plain String; `components` then is not to be used. */
  readonly irregular: string | undefined;
  readonly parameters: ReadonlyMap<string, BareItem>;
  /** Canonical serialisation, the value of `@signature-params` (section 2.3). */
  readonly signatureParams: string;
}

const TOKEN_LIST = /^"[A-Za-z0-9_.-]+"(?:,[ \t]*"[A-Za-z0-9_.-]+")*$/;

/** @throws when the field is no List of Strings without parameters. */
export function parseStringList(field: string): string[] {
  if (TOKEN_LIST.test(field)) return field.slice(1, -1).split(/",[ \t]*"/);
  return parseList(field).map(([value, parameters]) => {
    if (typeof value !== 'string' || parameters.size > 0) throw new Error('not a String without parameters');
    return value;
  });
}

// Printable ASCII without quotes and backslashes, integers without leading zeros: such text is its own serialisation.
const INPUT =
  /^([a-z*][a-z0-9_.*-]*)=(\(("[a-z0-9@_.-]+"(?: "[a-z0-9@_.-]+")*)?\)((?:;[a-z*][a-z0-9_.*-]*=(?:0|[1-9][0-9]{0,14}|"[ !#-[\]-~]*"))*))$/;
const QUOTE = 0x22;

/** Members that are no Inner List are left out. @throws when the field is no Dictionary. */
export function parseSignatureInput(field: string): ReadonlyMap<string, SignatureInputMember> {
  return parsePlainInput(field) ?? parseGeneralInput(field);
}

function parsePlainInput(field: string): ReadonlyMap<string, SignatureInputMember> | undefined {
  const match = INPUT.exec(field);
  if (match === null) return undefined;
  const [, label = '', signatureParams = '', names, listed = ''] = match;
  const parameters = new Map<string, BareItem>();
  let count = 0;
  // The pattern has shown what stands here, so every part is found by its end.
  for (let at = 0; at < listed.length; count++) {
    const equals = listed.indexOf('=', at);
    const quoted = listed.charCodeAt(equals + 1) === QUOTE;
    const found = quoted ? listed.indexOf('"', equals + 2) : listed.indexOf(';', equals);
    const end = found === -1 ? listed.length : found;
    const name = listed.slice(at + 1, equals);
    parameters.set(name, quoted ? listed.slice(equals + 2, end) : Number(listed.slice(equals + 1, end)));
    at = quoted ? end + 1 : end;
  }
  // Of two equal names the last counts and serialises once (RFC 9651 section 4.2.3.2).
  if (parameters.size !== count) return undefined;
  const components = names === undefined ? [] : names.slice(1, -1).split('" "');
  return new Map([[label, { components, irregular: undefined, parameters, signatureParams }]]);
}

/** The same through the library alone. @throws when the field is no Dictionary. */
export function parseGeneralInput(field: string): ReadonlyMap<string, SignatureInputMember> {
  const members = new Map<string, SignatureInputMember>();
  const dictionary = parseDictionary(field);
  const decimals = wholeDecimals(field);
  for (const [label, member] of dictionary)
    if (Array.isArray(member[0])) members.set(label, asDecimals(readInnerList(member as InnerList), decimals));
  return members;
}

/** Of a field that parses: a colon within a Token has a character of it before. */
const STRING_OR_BYTES = /"(?:[^"\\]|\\.)*"|(?<=[=( ]):[^:]*:/g;
const WHOLE_DECIMAL = /; *([a-z*][a-z0-9_.*-]*)=-?\d+\.0+(?!\d)/g;

/** Names of parameters with a value such as `1.0`. */
function wholeDecimals(field: string): ReadonlySet<string | undefined> {
  return new Set([...field.replaceAll(STRING_OR_BYTES, '').matchAll(WHOLE_DECIMAL)].map(([, name]) => name));
}

/** The library reads `1.0` as the number 1 and writes it as the Integer `1`: another type, and not what was signed. */
function asDecimals(member: SignatureInputMember, names: ReadonlySet<string | undefined>): SignatureInputMember {
  const parameters = new Map(member.parameters);
  let { signatureParams } = member;
  for (const [name, value] of parameters) {
    if (!names.has(name) || !Number.isInteger(value)) continue;
    // Where the same text stands in a String before it, the signature does not verify.
    signatureParams = signatureParams.replace(`;${name}=${value}`, `;${name}=${value}.0`);
    parameters.set(name, Number.NaN);
  }
  return { ...member, parameters, signatureParams };
}

function readInnerList(member: InnerList): SignatureInputMember {
  const components: string[] = [];
  let irregular: string | undefined;
  for (const [name, parameters] of member[0]) {
    if (typeof name !== 'string') irregular ??= 'A covered component is not a String.';
    else components.push(name);
    // ;sf ;bs ;key ;req ;tr ;name select another value than the whole field, so one name could be covered twice.
    if (parameters.size > 0) irregular ??= 'Component parameters are not supported.';
  }
  return { components, irregular, parameters: member[1], signatureParams: serializeInnerList(member) };
}

const ONE_BYTE_SEQUENCE = /^([a-z*][a-z0-9_.*-]*)=:((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?):$/;

/** A Dictionary of Byte Sequences; a member of another type is `undefined`. @throws when the field is no Dictionary. */
export function parseByteSequences(field: string): ReadonlyMap<string, Buffer | undefined> {
  const match = ONE_BYTE_SEQUENCE.exec(field);
  if (match?.[1] !== undefined) return new Map([[match[1], Buffer.from(match[2] ?? '', 'base64')]]);
  const members = new Map<string, Buffer | undefined>();
  for (const [name, [value]] of parseDictionary(field)) {
    members.set(name, value instanceof ArrayBuffer ? Buffer.from(value) : undefined);
  }
  return members;
}
