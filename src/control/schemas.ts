// What the control API takes and gives, each schema closed. The OpenAPI document is generated from these same objects.

import { z } from 'zod';
import { SIGHTING_COMPONENTS } from '../sightings/views.ts';
import { digits } from './digits.ts';
import { EVENT_COMPONENTS } from './event-schemas.ts';
import { RESTRICTION_COMPONENTS } from './restriction-schemas.ts';

const did = z
  .string()
  .max(2048)
  .regex(/^did:[a-z0-9]+:[A-Za-z0-9._:%-]+$/, 'must be a DID');
const didUrl = z.string().max(4096).describe('DID URL with a fragment');
const time = z.iso.datetime().describe('UTC');
const versionId = z.string().describe('NUMBER-HASH; the hash covers the version and all before it');
const next = z.string().optional().describe('`cursor` of the next page; absent on the last');

export const posted = z
  .strictObject({
    entry: z
      .string()
      .min(2)
      .describe('the entry as JSON: the exact line of did.jsonl, without its line end, signed by the update key of the log'),
    witness: z.string().min(2).optional().describe('did-witness.json as it is to be from now on, for a log with witnesses'),
  })
  .meta({ title: 'Posted', description: 'A version of a DID as its controller made it.' });

const key = z
  .strictObject({
    id: didUrl,
    thumbprint: z.string().describe('SHA-256 JWK thumbprint (RFC 7638)'),
    type: z.enum(['Ed25519', 'P-256', 'RSA']),
    purposes: z.array(z.enum(['capabilityInvocation', 'assertionMethod'])),
    expires: time.optional().describe('from then on the key does not hold any more'),
  })
  .meta({ title: 'Key', description: 'A key of the document in force.' });

export const registration = z
  .strictObject({
    did,
    kind: z.enum(['operator', 'agent']),
    operator: did.describe('DID of the operator; of an operator, its own'),
    name: z.string().describe('last part of the DID: unique among the agents of the operator'),
    version: z.int().min(1),
    versionId,
    created: time,
    updated: time,
    deactivated: z.boolean(),
    url: z.url().describe('of did.jsonl'),
    keys: z.array(key),
  })
  .meta({ title: 'Registration', description: 'What is registered under a DID, and the keys of its document in force.' });

export const registrationPage = z
  .strictObject({ items: z.array(registration), next })
  .meta({ title: 'RegistrationPage', description: 'Registrations in the order in which they were made.' });

export const versionPage = z
  .strictObject({
    items: z.array(
      z.strictObject({ version: z.int().min(1), versionId, versionTime: time, entry: z.string().describe('line of did.jsonl') }),
    ),
    next,
  })
  .meta({ title: 'VersionPage', description: 'Versions of a DID, first to last.' });

export const changes = z
  .strictObject({
    epoch: z.string().describe('another one after a restore from a backup: what was known before may not hold any more'),
    changes: z.array(z.strictObject({ sequence: z.int().min(0), did, versionId })).max(1000),
    last: z
      .int()
      .min(0)
      .describe(
        'sequence of the newest change there is; when it is less than `after`, what was known before may not hold any more',
      ),
  })
  .meta({ title: 'Changes', description: 'Versions that the vault admitted, oldest first.' });

export const health = z
  .strictObject({ status: z.literal('serving') })
  .meta({ title: 'Health', description: 'The vault can read its store.' });

export const keyDirectory = z
  .strictObject({
    keys: z.array(
      z.strictObject({
        kty: z.enum(['OKP', 'EC', 'RSA']),
        crv: z.enum(['Ed25519', 'P-256']).optional(),
        x: z.string().optional(),
        y: z.string().optional(),
        n: z.string().optional(),
        e: z.string().optional(),
        kid: z.string().describe('SHA-256 JWK thumbprint'),
        use: z.literal('sig'),
        nbf: z.int().optional().describe('seconds since the epoch of the first version with the key'),
        exp: z.int().optional().describe('seconds since the epoch from which the key does not hold any more'),
        controller: did.optional().describe("the agent's DID; absent of the vault's own key, which signs the directory"),
      }),
    ),
  })
  .meta({
    title: 'KeyDirectory',
    description: 'A JWK Set of the current capabilityInvocation keys of agents, and the key of the vault that signs it.',
  });

export const problem = z
  .strictObject({
    type: z.string().regex(/^urn:hermesbridge:control:[a-z-]+$/),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().describe('names the request in the log of the vault'),
    errors: z
      .array(z.strictObject({ field: z.string(), detail: z.string() }))
      .optional()
      .describe('the members or parameters that are not acceptable'),
  })
  .meta({ title: 'Problem', description: 'RFC 9457.' });

export const openapi = z
  .looseObject({ openapi: z.literal('3.1.0') })
  .meta({ title: 'OpenApi', description: 'An OpenAPI 3.1 document.' });

/** By their names in the OpenAPI document. */
export const COMPONENTS = {
  Posted: posted,
  Registration: registration,
  RegistrationPage: registrationPage,
  VersionPage: versionPage,
  Changes: changes,
  Health: health,
  KeyDirectory: keyDirectory,
  Problem: problem,
  OpenApi: openapi,
  ...RESTRICTION_COMPONENTS,
  ...SIGHTING_COMPONENTS,
  ...EVENT_COMPONENTS,
} as const;

export const noParameters = z.strictObject({});
export const didParameter = z.strictObject({ did: did.describe('percent-encoded') });
const name = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be of a-z, 0-9 and inner hyphens');
export const operatorParameters = z.strictObject({ operator: name });
export const agentParameters = z.strictObject({ operator: name, agent: name });

const cursor = z.string().max(4096).optional().describe('`next` of the page before');
const limit = digits(1, 200).default(50).describe('most items of the page');
export const pageQuery = z.strictObject({ cursor, limit });
export const registrationQuery = z.strictObject({
  operator: did.optional().describe('only what belongs to this operator'),
  cursor,
  limit,
});
export const directoryQuery = z.strictObject({
  agent: did.optional().describe('DID of the agent; without it, keys of all'),
  cursor,
  limit,
});
export const changesQuery = z.strictObject({
  after: digits(0)
    .optional()
    .describe('sequence of the last change that is known; without it the answer only says where the vault stands'),
  epoch: z.string().max(200).optional().describe('as the answer before gave it'),
  wait: digits(0, 25).default(0).describe('seconds to wait for a change'),
});
