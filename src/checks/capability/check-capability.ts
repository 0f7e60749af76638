// Row 12 of profile section 4: the leaf's authorization details, the operator's ceiling and every narrowing in force allow the request.
// What the request asks for is read out of the verified path and body only, never out of a header.

import { JsonError, parseStrictJson } from '../../crypto/strict-json.ts';
import { type AskedAccess, type Denied, denied, type Outcome, passed } from '../../outcome.ts';
import { type InboundRequest, singleLine } from '../../request.ts';
import { type AuthorizationDetails, covers } from '../../token/authorization-details.ts';
import type { VerifiedChain } from '../chain/check-chain.ts';
import type { VerifiedBody } from '../digest/check-digest.ts';
import type { UnrestrictedChain } from '../restriction/check-restriction.ts';
import { type JsonObject, type Operation, Undetermined, type WantedAccess } from './provider-api.ts';
import { findRoute, type ProviderRoutes } from './provider-routes.ts';
import { readMultipart } from './read-multipart.ts';
import { matchOperation, parseQuery } from './read-operation.ts';

declare const allowed: unique symbol;

/** What the request asks for, all of which its capability allows. */
export interface AllowedAccess extends AskedAccess {
  readonly [allowed]: true;
}

/** What the request asks for, before it is held against anything. */
export interface Asked extends WantedAccess {
  readonly outputLimit?: string | undefined;
  readonly qualifiedModel: string | undefined;
}

/** What a request must stay within, and whose it is. */
interface Bound {
  readonly of: string;
  readonly details: AuthorizationDetails;
  readonly restriction?: { readonly id: string; readonly highWaterMark: number };
}

export function checkCapability(
  request: InboundRequest,
  chain: VerifiedChain,
  body: VerifiedBody,
  { narrowed, highWaterMark }: UnrestrictedChain,
  routes: ProviderRoutes,
): Outcome<AllowedAccess> {
  const bounds: readonly Bound[] = [
    { of: 'capability', details: chain.details },
    ...(chain.operator.ceiling === undefined ? [] : [{ of: "operator's ceiling", details: chain.operator.ceiling }]),
    ...narrowed.map(({ id, details }) => ({ of: 'narrowing', details, restriction: { id, highWaterMark } })),
  ];
  // Before the body is read: who may send little must not make us read much.
  for (const { of, details, restriction } of bounds) {
    const tooLong = findTooLong(body.bytes.length, details, of);
    if (tooLong !== undefined) return { ...tooLong, ...(restriction && { restriction }) };
  }
  let asked: Asked;
  try {
    asked = readAsked(request, body.bytes, routes);
  } catch (error) {
    if (error instanceof Undetermined) return denied('capability-insufficient', error.message);
    throw error;
  }
  const { action, also, tools, qualifiedModel: model } = asked;
  for (const { of, details, restriction } of bounds) {
    const beyond = findBeyond(asked, body.bytes.length, details, of);
    if (beyond !== undefined) return { ...beyond, asked: { action, also, model, tools }, ...(restriction && { restriction }) };
  }
  return passed({ action, also, model, tools } as AllowedAccess);
}

/** @throws {Undetermined} */
function readAsked(request: InboundRequest, body: Uint8Array, routes: ProviderRoutes): Asked {
  // After an upgrade bytes flow that no check sees (RFC 9110 section 7.8; extended CONNECT arrives as GET with `upgrade`).
  if (request.fields.has('upgrade') || request.method === 'CONNECT')
    throw new Undetermined('An upgraded connection cannot be held against a capability.');
  if (!routes.authorities.has(request.authority)) throw new Undetermined('This gateway does not answer for that host.');
  const found = findRoute(routes, request.path);
  if (found === undefined) throw new Undetermined('No provider is configured for this path.');
  const { route, rest } = found;
  const matched = matchOperation(route.api, request.method, rest);
  if (matched === undefined)
    throw new Undetermined(`This method and path are no operation of ${route.name} that this gateway knows.`);
  const { operation, path } = matched;
  const query = parseQuery(request.query);
  for (const name of query.keys()) {
    if (operation.query?.includes(name) !== true)
      throw new Undetermined('The query has a parameter that this operation does not take.');
  }
  const wanted = operation.wants({ path, query, body: readBody(request, body, operation) });
  const model = wanted.model === undefined ? undefined : (route.aliases.get(wanted.model) ?? wanted.model);
  return {
    ...wanted,
    outputLimit: operation.outputLimit,
    qualifiedModel: model === undefined ? undefined : `${route.name}/${model}`,
  };
}

function readBody(request: InboundRequest, body: Uint8Array, operation: Operation): JsonObject {
  if (operation.body === 'none') {
    if (body.length > 0) throw new Undetermined('This operation takes no body.');
    return {};
  }
  const encoding = singleLine(request.fields, 'content-encoding');
  if (encoding !== undefined && encoding !== 'identity') throw new Undetermined('Send the body without content-encoding.');
  const type = singleLine(request.fields, 'content-type');
  if (typeof type !== 'string') throw new Undetermined('Send one content-type.');
  if (operation.body === 'multipart') return readMultipart(type, body);
  if (!operation.jsonAs?.includes(type) && !/^application\/json[ \t]*(;[ \t]*charset="?utf-8"?[ \t]*)?$/i.test(type))
    throw new Undetermined('Send the body as application/json in UTF-8.');
  let value: unknown;
  try {
    value = parseStrictJson(body);
  } catch (error) {
    if (error instanceof JsonError) throw new Undetermined(`The body is ${error.message}.`);
    throw error;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Undetermined('The body is not a JSON object.');
  return value as JsonObject;
}

function findTooLong(inputBytes: number, details: AuthorizationDetails, of: string): Denied | undefined {
  const most = details.max?.input_bytes;
  return most === undefined || inputBytes <= most ? undefined : beyond(`The ${of} allows at most ${most} bytes of input.`);
}

/** `of` says whose limit it is; limits may be told to the caller, since they are its own. */
export function findBeyond(asked: Asked, inputBytes: number, details: AuthorizationDetails, of: string): Denied | undefined {
  const { action, also = [], tools, outputTokens, qualifiedModel } = asked;
  const missing = [action, ...also].find((each) => !details.actions.includes(each));
  if (missing !== undefined) return beyond(`The ${of} does not include the action "${missing}".`);
  if (qualifiedModel !== undefined && !details.models?.some((pattern) => covers(pattern, qualifiedModel))) {
    return beyond(`The ${of} does not include the model that the request names.`);
  }
  if (details.tools !== undefined && !tools.every((tool) => details.tools?.some((pattern) => covers(pattern, tool)))) {
    return beyond(`The ${of} does not include every tool that the request declares.`);
  }
  const { output_tokens, tools: toolCount } = details.max ?? {};
  const tooLong = findTooLong(inputBytes, details, of);
  if (tooLong !== undefined) return tooLong;
  if (toolCount !== undefined && tools.length > toolCount) return beyond(`The ${of} allows at most ${toolCount} tools.`);
  if (output_tokens !== undefined && (outputTokens === 'unstated' || outputTokens > output_tokens)) {
    const { outputLimit } = asked;
    const instead =
      outputLimit === undefined
        ? 'a request of this kind cannot state a limit, so use a capability without max.output_tokens'
        : `state a limit in ${outputLimit} that does not exceed it`;
    return beyond(`The ${of} allows at most ${output_tokens} output tokens: ${instead}.`);
  }
  return undefined;
}

function beyond(detail: string): Denied {
  return denied('capability-insufficient', detail);
}
