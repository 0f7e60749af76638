// Whom an event is about (RFC 9493, and SSF 1.0 section 3): simple identifiers, and complex ones made of them.

import canonicalize from 'canonicalize';
import { z } from 'zod';

const text = z.string().min(1).max(4200);

/** The formats and their members; others that stand beside them say nothing. */
const FORMATS = {
  account: ['uri'],
  did: ['url'],
  email: ['email'],
  iss_sub: ['iss', 'sub'],
  jwt_id: ['iss', 'jti'],
  opaque: ['id'],
  phone_number: ['phone_number'],
  saml_assertion_id: ['issuer', 'assertion_id'],
  uri: ['uri'],
} as const satisfies Readonly<Record<string, readonly string[]>>;
type Format = keyof typeof FORMATS;
const FORMAT_NAMES = Object.keys(FORMATS) as [Format, ...Format[]];

export type SimpleSubject = { readonly format: Format } & Readonly<Record<string, string>>;

/** Of the configuration: exactly the members of its format. */
export const configuredSubject = z
  .object({ format: z.enum(FORMAT_NAMES).describe('what kind of name it is, and so which members it has') })
  .catchall(text)
  .superRefine((subject, { addIssue }) => {
    const members = ['format', ...FORMATS[subject.format]];
    const same = members.every((name) => name in subject) && Object.keys(subject).length === members.length;
    if (!same) addIssue({ code: 'custom', message: `must have the members ${members.join(', ')}` });
  });

export interface Subject {
  /** Of whom: an account by one of its names, any of several where the event has aliases. */
  readonly principals: readonly SimpleSubject[];
  /** Of a complex subject: the session that is meant. */
  readonly session: SimpleSubject | undefined;
}

/** Members of a complex subject that can stand for someone who acts. */
const ACTING = ['user', 'application', 'device'] as const;

/** @returns `undefined` for what is no subject identifier */
export function readSubject(value: unknown): Subject | undefined {
  if (!isRecord(value)) return undefined;
  // RISC before SSF had a complex subject without a format.
  const complex =
    value.format === 'complex' || (value.format === undefined && [...ACTING, 'session'].some((name) => name in value));
  if (!complex) return single(value);
  const acting = ACTING.flatMap((name) => (name in value ? [namesOf(value[name])] : []));
  const session = value.session === undefined ? undefined : readSimple(value.session);
  if (acting.includes(undefined) || (value.session !== undefined && session === undefined)) return undefined;
  return { principals: acting.flatMap((names) => names ?? []), session };
}

function single(value: unknown): Subject | undefined {
  const principals = namesOf(value);
  return principals && { principals, session: undefined };
}

function namesOf(value: unknown): SimpleSubject[] | undefined {
  if (!isRecord(value)) return undefined;
  if (value.format !== 'aliases') {
    const simple = readSimple(value);
    return simple && [simple];
  }
  if (!Array.isArray(value.identifiers) || value.identifiers.length > 20) return undefined;
  const read = value.identifiers.map(readSimple);
  return read.includes(undefined) ? undefined : read.flatMap((one) => one ?? []);
}

function readSimple(value: unknown): SimpleSubject | undefined {
  if (!isRecord(value) || typeof value.format !== 'string') return undefined;
  // One of a format that is not known here is nobody known here.
  if (!Object.hasOwn(FORMATS, value.format)) return { format: 'opaque', unknown: 'format' };
  const format = value.format as Format;
  const members = FORMATS[format].map((name) => [name, text.safeParse(value[name]).data] as const);
  if (members.some(([, member]) => member === undefined)) return undefined;
  return { format, ...Object.fromEntries(members) } as SimpleSubject;
}

/** One text for each subject; addresses of mail are the same in capitals (RFC 9493 section 3.2.2). */
export function subjectName(subject: Readonly<Record<string, string>>): string {
  return canonicalize({ ...subject, ...(subject.email !== undefined && { email: subject.email.toLowerCase() }) }) ?? '';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
