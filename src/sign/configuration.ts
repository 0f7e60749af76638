// What the sidecar's role needs to know: its key, its capability, and where its requests go (profile section 9).

import { z } from 'zod';
import { authorizationDetailsSchema } from '../token/authorization-details.ts';

const secret = z.union([z.strictObject({ file: z.string().min(1) }), z.strictObject({ environment: z.string().min(1) })], {
  error: 'must be {file: PATH} or {environment: NAME}: a secret never stands in this file',
});

const sessionConfiguration = z.strictObject({
  lifetimeMinutes: z
    .int()
    .min(1)
    .max(720)
    .default(60)
    .describe(
      'how long a session lives; a new one is opened after 80 % of it. The gateway accepts 12 hours unless told otherwise',
    ),
});

/** Fields that mean something else: as the name of a task they would be removed, or seen by the gateway. */
const TAKEN = /^x-(?:api-key$|goog-|http-method|method-override$|amz-|ms-|auth-token$|envoy-|forwarded-|request-id$|stainless-)/;

const taskConfiguration = z.strictObject({
  header: z
    .string()
    .toLowerCase()
    .regex(/^x-[a-z0-9-]{1,62}$/, 'must begin with x- and hold letters, digits and "-"')
    .refine((name) => !TAKEN.test(name), 'is a header with another meaning')
    .default('x-agent-task')
    .describe('header by which a request names the task that it belongs to; it is removed before sending'),
  lifetimeMinutes: z
    .int()
    .min(1)
    .max(720)
    .default(15)
    .describe(
      "how long a task's scope lives; it is opened anew on use after 80 % of it. The gateway accepts 15 unless told otherwise",
    ),
  required: z
    .boolean()
    .default(true)
    .describe('whether a request is refused when the capability leaves no room for its task; otherwise it is sent without one'),
});

export const TASK_NAME = /^[!-~]{1,128}$/;
const taskName = z.string().regex(TASK_NAME, 'must be 1 to 128 visible ASCII characters');

const port = z
  .string()
  .regex(/^[1-9]\d{0,4}$/, 'must be a port')
  .refine((text) => Number(text) < 65_536, 'must be a port');

const delegationConfiguration = z.strictObject({
  socket: z
    .string()
    .min(1)
    .default('run/delegate.sock')
    .describe('Unix socket with mode 0600 on which the same user delegates: `POST /delegate`, and `hermesbridge delegate`'),
});

export const signerConfiguration = z.strictObject({
  key: secret.describe("the agent's private key, JWK or PKCS#8 PEM: {file: PATH} with mode 0600, or {environment: NAME}"),
  capability: secret.describe('the capability, compact tokens one a line, root first; a file is read again when it changes'),
  localSecret: secret.describe('what the SDK presents as its API key, so that nobody else on the machine can use the sidecar'),
  gateway: z.url({ protocol: /^https?$/ }).describe('the gateway, `https://gateway.example`, without a path'),
  gatewayCa: z
    .string()
    .optional()
    .describe("file with the CA certificates that the gateway is verified against; the system's by default"),
  hosts: z
    .array(z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]*[A-Za-z0-9])$/, 'must be a host, without a port or wildcard'))
    .min(1)
    .default(['localhost', '127.0.0.1', '[::1]'])
    .describe(
      'hosts by which clients call the sidecar, on any port; others get 404, so that no web page can lead a browser to it',
    ),
  lifetimeSeconds: z
    .int()
    .min(1)
    .max(300)
    .default(60)
    .describe('time from `created` to `expires` of a signature; the gateway accepts 60 unless told otherwise'),
  session: sessionConfiguration
    .prefault({})
    .describe(
      'sessions: each request is signed by a key in memory that the key above vouches for; needs a capability with depth 1',
    ),
  task: taskConfiguration.prefault({}).describe('task scopes, below the session; they need a capability with depth 2'),
  tasks: z
    .record(taskName, authorizationDetailsSchema)
    .default({})
    .describe('what a task may do, by its name, where that is less than the agent may'),
  taskPorts: z
    .record(port, taskName)
    .default({})
    .describe('further ports of this Envoy, each with the task that all its requests belong to'),
  delegation: delegationConfiguration
    .optional()
    .describe('passes a part of the capability on to other agents; off without this section'),
});
export type SignerConfiguration = z.infer<typeof signerConfiguration>;
