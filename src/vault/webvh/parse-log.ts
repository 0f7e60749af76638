// Strict reading of did.jsonl and did-witness.json (did:webvh 1.0, sections "The DID Log File" and "The Witness Proofs File").
// Nothing is verified here; what comes out is of a form in which no two verifiers see two things.

import { z } from 'zod';
import { JsonError, parseStrictJson } from '../../crypto/strict-json.ts';
import { UnknownDid } from '../did-document.ts';
import { locationOfDidWebvh } from '../did-location.ts';
import { parseUtcTime } from '../utc-time.ts';
import { findIrregularity, printable } from './regular-json.ts';
import { InvalidLog } from './verified-log.ts';

export interface LogLimits {
  /** Of did.jsonl, and of did-witness.json as well. */
  readonly maxBytes: number;
  readonly maxEntries: number;
}

const METHOD = 'did:webvh:1.0';
const PLACEHOLDER = '{SCID}';

const BASE58 = '[1-9A-HJ-NP-Za-km-z]';
const scid = z.string().regex(new RegExp(`^Qm${BASE58}{44}$`), 'must be a SHA-256 multihash in base58btc');
const versionId = z.string().regex(new RegExp(`^[1-9][0-9]{0,8}-Qm${BASE58}{44}$`), 'must be a number and an entry hash');
const multikey = z.string().regex(new RegExp(`^z6Mk${BASE58}{44}$`), 'must be a Multikey of Ed25519');
const time = z.string().refine((text) => parseUtcTime(text) !== undefined, 'must be a time in UTC');

const witnessSchema = z.strictObject({
  threshold: z.int().min(1),
  witnesses: z
    .array(z.strictObject({ id: z.string().regex(new RegExp(`^did:key:z6Mk${BASE58}{44}$`), 'must be a did:key of Ed25519') }))
    .min(1)
    .max(32),
});

const parametersSchema = z.strictObject({
  method: z.literal(METHOD).optional(),
  scid: scid.optional(),
  updateKeys: z.array(multikey).max(16).optional(),
  // A controller may add strings that are no hashes, so that nobody can count the keys.
  nextKeyHashes: z.array(z.string().min(1).max(128)).max(16).optional(),
  portable: z.boolean().optional(),
  witness: z.union([z.strictObject({}), witnessSchema]).optional(),
  watchers: z.array(z.string().max(2048)).max(16).optional(),
  deactivated: z.boolean().optional(),
  ttl: z
    .int()
    .min(0)
    .max(2 ** 31)
    .optional(),
});

const proofSchema = z.strictObject({
  type: z.literal('DataIntegrityProof'),
  cryptosuite: z.literal('eddsa-jcs-2022'),
  verificationMethod: z
    .string()
    .regex(new RegExp(`^did:key:(z6Mk${BASE58}{44})#\\1$`), 'must be a did:key of Ed25519 with its own name as fragment'),
  created: time.optional(),
  proofPurpose: z.literal('assertionMethod'),
  proofValue: z.string().regex(new RegExp(`^z${BASE58}{64,88}$`), 'must be a signature in base58btc'),
});

const entrySchema = z.strictObject({
  versionId,
  versionTime: time,
  parameters: parametersSchema,
  state: z.looseObject({ id: z.string().refine(isDidWebvh, 'must be a did:webvh') }),
  proof: z.array(proofSchema).min(1).max(8),
});

const witnessFileSchema = z.array(z.strictObject({ versionId, proof: z.array(proofSchema).max(32) }));

export type UnverifiedEntry = z.infer<typeof entrySchema>;
export type UnverifiedWitnessProofs = z.infer<typeof witnessFileSchema>;

/** @throws {InvalidLog} */
export function parseLog(log: string, { maxBytes, maxEntries }: LogLimits): readonly UnverifiedEntry[] {
  const lines = checkedText(log, maxBytes, 'the log').split('\n');
  if (lines.at(-1) === '') lines.pop();
  if (lines.length === 0) throw new InvalidLog('the log is empty');
  if (lines.length > maxEntries) throw new InvalidLog(`the log has more than ${maxEntries} entries`);
  return lines.map((line, index) => {
    const what = `entry ${index + 1}`;
    const entry = parse(entrySchema, line, what);
    // The SCID is the hash of the first entry with placeholders. One that stands there still would be hashed as if it were
    // the SCID, so a stranger could write one for the other and the entry would verify.
    if (index === 0 && JSON.stringify(entry).includes(PLACEHOLDER))
      throw new InvalidLog(`${what} still has a placeholder for the SCID`);
    return entry;
  });
}

/** @returns no proofs when there is no file. @throws {InvalidLog} */
export function parseWitnessProofs(witness: string | undefined, { maxBytes, maxEntries }: LogLimits): UnverifiedWitnessProofs {
  if (witness === undefined) return [];
  const proofs = parse(witnessFileSchema, checkedText(witness, maxBytes, 'the witness file'), 'the witness file');
  // One for each entry, and some for what is not published yet.
  if (proofs.length > maxEntries + 16) throw new InvalidLog(`the witness file has more than ${maxEntries} entries`);
  return proofs;
}

function checkedText(text: string, maxBytes: number, what: string): string {
  if (Buffer.byteLength(text) > maxBytes) throw new InvalidLog(`${what} is larger than ${maxBytes} bytes`);
  if (!text.isWellFormed()) throw new InvalidLog(`${what} is not UTF-8`);
  return text;
}

function parse<T>(schema: z.ZodType<T>, text: string, what: string): T {
  let value: unknown;
  try {
    value = parseStrictJson(Buffer.from(text));
  } catch (error) {
    if (error instanceof JsonError) throw new InvalidLog(`${what} is ${error.message}`);
    throw error;
  }
  const irregular = findIrregularity(value);
  if (irregular !== undefined) throw new InvalidLog(`${what} ${irregular}`);
  const { success, error } = schema.safeParse(value);
  // What was parsed, not what the schema made of it: the hashes are over every member.
  if (success) return value as T;
  const [issue] = error.issues;
  const place = [what, ...(issue?.path ?? [])].join('.');
  throw new InvalidLog(printable(`${place}: ${issue?.message ?? 'not of this form'}`));
}

/** In its one spelling, so that two names are never of one place. */
function isDidWebvh(did: string): boolean {
  try {
    locationOfDidWebvh(did);
    return true;
  } catch (error) {
    if (error instanceof UnknownDid) return false;
    throw error;
  }
}
