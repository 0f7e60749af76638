// The OpenAPI 3.1 document, generated from the operations and the schemas that serve them.

import { z } from 'zod';
import type { Operation, ResponseDescription } from './operation.ts';
import { PROBLEMS, type ProblemCode } from './problem.ts';
import { COMPONENTS } from './schemas.ts';

type Json = Record<string, unknown>;

/** What any operation can end in. */
const ALWAYS: readonly ProblemCode[] = [
  'malformed-request',
  'bad-parameter',
  'timeout',
  'headers-too-large',
  'internal',
  'unavailable',
];

const SIGNATURE = `An RFC 9421 signature with tag="agent-cap-control" over "@method" "@authority" "@path" "@query" "content-type" "content-digest", and "idempotency-key" where it is sent. Parameters: created, expires (at most 60 seconds later), nonce (16 random bytes or more, base64url), keyid (the DID URL of a current capabilityInvocation key of the operator), no alg. Content-Digest (RFC 9530) is over the body as sent. A read has no content, and covers the first four.`;

export function describeOperations(operations: readonly Operation[], origin: string): Json {
  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    const item = paths[operation.path] ?? {};
    item[operation.method.toLowerCase()] = describe(operation);
    paths[operation.path] = item;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'HermesBridge control API',
      version: '1',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'Registers operators and agents as did:webvh DIDs and serves their logs. Reads are public but for sessions and trees; those and writes are signed by the operator. Errors are problem+json (RFC 9457). Any other method of a path is answered with 405, and HEAD goes where GET does.',
    },
    servers: [{ url: origin }],
    paths,
    components: {
      schemas: componentSchemas(),
      responses: Object.fromEntries(Object.keys(PROBLEMS).map((code) => [code, problemResponse([code as ProblemCode])])),
      securitySchemes: {
        operatorSignature: { type: 'apiKey', in: 'header', name: 'Signature', description: SIGNATURE },
      },
    },
  };
}

function describe(operation: Operation): Json {
  const { id, summary, description, parameters, query, body, bodyMediaType, authenticatesItself, responses, problems } =
    operation;
  const written = body !== undefined && authenticatesItself !== true;
  const signed = written || operation.signed === true;
  return {
    operationId: id,
    summary,
    ...(description !== undefined && { description }),
    security: signed ? [{ operatorSignature: [] }] : [],
    parameters: [
      ...describeParameters(parameters, 'path'),
      ...describeParameters(query, 'query'),
      ...(written ? WRITTEN_HEADERS : signed ? READ_HEADERS : []),
    ],
    ...(body !== undefined && {
      requestBody: {
        required: true,
        content: {
          [bodyMediaType ?? 'application/json']: {
            schema: reference(body),
            ...(written && { examples: { registration: { value: EXAMPLE } } }),
          },
        },
      },
    }),
    responses: joined(describeResponses(responses), describeProblems([...problems, ...ALWAYS])),
  };
}

/** Shortened: what stands for dots is in the log of any DID. */
const EXAMPLE = {
  entry:
    '{"versionId":"1-Qm…","versionTime":"2026-01-31T12:00:00Z","parameters":{"method":"did:webvh:1.0","scid":"Qm…","updateKeys":["z6Mk…"],"nextKeyHashes":["Qm…"],"portable":true},"state":{"id":"did:webvh:Qm…:vault.example:agents:acme:reader","controller":["did:webvh:Qm…:vault.example:operators:acme"],"verificationMethod":[…],"capabilityInvocation":[…]},"proof":[…]}',
};

const header = (name: string, required: boolean, description: string): Json => ({
  name,
  in: 'header',
  required,
  description,
  schema: { type: 'string' },
});
const READ_HEADERS: readonly Json[] = [header('Signature-Input', true, 'RFC 9421: see the security scheme')];
const WRITTEN_HEADERS: readonly Json[] = [
  header('Content-Digest', true, 'RFC 9530: sha-256 or sha-512 of the body'),
  ...READ_HEADERS,
  header(
    'Idempotency-Key',
    false,
    '1 to 255 visible ASCII characters: a repetition of the request gets the answer to the first one',
  ),
];

function describeParameters(schema: z.ZodObject, place: 'path' | 'query'): Json[] {
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' });
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...rest } = typeof property === 'object' ? property : {};
    return {
      name,
      in: place,
      required: place === 'path' || required.includes(name),
      ...(description !== undefined && { description }),
      schema: rest,
    };
  });
}

function describeResponses(responses: Readonly<Record<number, ResponseDescription>>): Json {
  return Object.fromEntries(
    Object.entries(responses).map(([status, { description, schema, mediaType, headers }]) => [
      status,
      {
        description,
        ...(headers !== undefined && {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, text]) => [name, { description: text, schema: { type: 'string' } }]),
          ),
        }),
        ...((schema ?? mediaType) !== undefined && {
          content: {
            [mediaType ?? 'application/json']: { schema: schema === undefined ? { type: 'string' } : reference(schema) },
          },
        }),
      },
    ]),
  );
}

/** Where an operation has an error of its own for a status, a problem may stand in its place. */
function joined(own: Json, problems: Json): Json {
  const both = Object.keys(own).filter((status) => status in problems);
  const merged = both.map((status) => {
    const [mine, theirs] = [own[status], problems[status]] as [Json, Json];
    const content = { ...(mine.content as Json), ...(theirs.content as Json) };
    return [status, { ...mine, description: `${mine.description} ${theirs.description}`, content }];
  });
  return { ...own, ...problems, ...Object.fromEntries(merged) };
}

/** One response for each status; of several problems with it, each is an example. */
function describeProblems(codes: readonly ProblemCode[]): Json {
  const byStatus = Map.groupBy(new Set(codes), (code) => PROBLEMS[code].status);
  return Object.fromEntries([...byStatus].map(([status, some]) => [status, problemResponse(some)]));
}

function problemResponse(codes: readonly ProblemCode[]): Json {
  const examples = Object.fromEntries(codes.map((code) => [code, { value: exampleOf(code) }]));
  return {
    description: codes.map((code) => PROBLEMS[code].title).join('; '),
    content: { 'application/problem+json': { schema: reference(COMPONENTS.Problem), examples } },
  };
}

function exampleOf(code: ProblemCode): Json {
  return {
    type: `urn:hermesbridge:control:${code}`,
    ...PROBLEMS[code],
    detail: 'One sentence: what was wrong, and what to send instead.',
    instance: 'urn:uuid:7d444840-9dc0-11d1-b245-5ffdce74fad2',
    ...(code === 'not-admitted' && { errors: [{ field: 'entry.parameters.portable', detail: 'must be true' }] }),
  };
}

function componentSchemas(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(COMPONENTS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => `#/components/schemas/${id}`, io: 'input' });
  // The names by which JSON Schema would find them are those of the OpenAPI document.
  return Object.fromEntries(Object.entries(schemas).map(([id, { $schema: _, $id: __, ...schema }]) => [id, schema]));
}

function reference(schema: z.ZodType): Json {
  const [name] = Object.entries(COMPONENTS).find(([, component]) => component === schema) ?? [];
  if (name === undefined) throw new Error('a schema of an operation is not a component');
  return { $ref: `#/components/schemas/${name}` };
}
