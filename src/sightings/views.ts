// How sessions and trees are shown, to programs: one form for the control API, its client and the commands' JSON.

import { z } from 'zod';
import { TARGET_KINDS } from '../restrictions/restriction.ts';
import { authorizationDetailsSchema } from '../token/authorization-details.ts';
import { TREE_KINDS } from './sighting-reader.ts';

const seconds = z.int().describe('seconds since the epoch');
const tokenHash = z.string().describe('base64url SHA-256 of the compact token');

export const STATES = ['live', 'narrowed', 'revoked', 'fallen', 'expired'] as const;
export type LinkState = (typeof STATES)[number];

const state = z
  .enum(STATES)
  .describe(
    'fallen: something above it is revoked; narrowed: in force, but it may do less than it says; of several, the first of revoked, fallen, expired, narrowed',
  );
const judged = {
  state,
  revokedBy: z.string().optional().describe('id of the restriction, where it can be read; of a fallen link, the one above it'),
  narrowedBy: z.array(z.string()).describe('ids of the narrowings in force, those of the links above it included'),
};
const who = {
  operator: z.string().describe('DID'),
  agent: z.string().describe('DID'),
  jti: z.string(),
  jkt: z.string().describe('thumbprint of the key that it is bound to'),
};
const seen = {
  issued: seconds,
  expires: seconds,
  firstSeen: seconds,
  lastSeen: seconds.describe('of a request under it or below it, in seconds since the epoch; up to a minute too early'),
  gateway: z.string().describe('name of the gateway that saw it last'),
};

export const linkView = z
  .strictObject({
    token: tokenHash,
    parent: tokenHash.optional().describe('of the token above it; absent for a root'),
    depth: z.int().min(0).max(5),
    ...who,
    sid: z.string().optional(),
    task: z.string().optional(),
    opensSession: z.boolean(),
    setsTask: z.boolean(),
    delegates: z.boolean().describe('whether it passes the work on to another agent'),
    ...seen,
    details: authorizationDetailsSchema.describe('what it says that may be done'),
    ...judged,
    matches: z.boolean().describe('whether it is what was asked for, or else above or below that'),
  })
  .meta({ title: 'SeenLink', description: 'A token of a chain, as a gateway saw it.' });
export type LinkView = z.infer<typeof linkView>;

export const concerning = z
  .strictObject({
    id: z.string(),
    effect: z.enum(['revoke', 'narrow']),
    target: z.partialRecord(z.enum(TARGET_KINDS), z.string()).describe('exactly one'),
    by: z.string().describe('DID, or thumbprint URN of an issuer’s key'),
    at: seconds,
    reason: z.string(),
    details: authorizationDetailsSchema.optional().describe('what may be done at most; of a narrowing'),
  })
  .meta({ title: 'ConcerningRestriction', description: 'A restriction in force over a link.' });
export type ConcerningView = z.infer<typeof concerning>;

const tree = {
  asOf: seconds,
  links: z.array(linkView).describe('each after the one above it, depth first'),
  restrictions: z.array(concerning),
  truncated: z.boolean().describe('there are more than fit: those that end last are shown'),
};

export const treeView = z
  .strictObject({ kind: z.enum(TREE_KINDS), id: z.string(), ...tree })
  .meta({ title: 'Tree', description: 'Every link seen that lies on a path through what was asked for.' });
export type TreeView = z.infer<typeof treeView>;

export const sessionItem = z
  .strictObject({
    sid: z.string(),
    token: tokenHash.describe('base64url SHA-256 of the link that opens it'),
    ...who,
    ...seen,
    tasks: z.int().describe('task scopes in it that have not expired, counted up to 1000 links'),
    delegations: z.int().describe('links in it to other agents that have not expired, counted likewise'),
    ...judged,
  })
  .meta({ title: 'Session', description: 'A session as gateways saw it: the link that opens it.' });
export type SessionItem = z.infer<typeof sessionItem>;

export const sessionPage = z
  .strictObject({
    items: z.array(sessionItem),
    next: z.string().optional().describe('`cursor` of the next page, which may be empty; absent on the last'),
  })
  .meta({ title: 'SessionPage', description: 'Sessions, those that end last first.' });
export type SessionPage = z.infer<typeof sessionPage>;

export const sessionView = z
  .strictObject({ sid: z.string(), sessions: z.array(sessionItem).describe('one for each link that opens it'), ...tree })
  .meta({ title: 'SessionDetail', description: 'A session, the links above and below it, and what concerns them.' });
export type SessionView = z.infer<typeof sessionView>;

/** By their names in the OpenAPI document. */
export const SIGHTING_COMPONENTS = {
  SeenLink: linkView,
  ConcerningRestriction: concerning,
  Tree: treeView,
  Session: sessionItem,
  SessionPage: sessionPage,
  SessionDetail: sessionView,
} as const;
