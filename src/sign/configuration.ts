// What the sidecar's role needs to know: its key, its capability, and where its requests go (profile section 9).

import { z } from 'zod';

const secret = z.union([z.strictObject({ file: z.string().min(1) }), z.strictObject({ environment: z.string().min(1) })]);

export const signerConfiguration = z.strictObject({
  key: secret.describe("the agent's private key, JWK or PKCS#8 PEM: {file: PATH} with mode 0600, or {environment: NAME}"),
  capability: secret.describe('the capability, compact tokens one a line, root first; a file is read again when it changes'),
  localSecret: secret.describe('what the SDK presents as its API key, so that nobody else on the machine can use the sidecar'),
  gateway: z.url({ protocol: /^https?$/ }).describe('the gateway, `https://gateway.example`, without a path'),
  gatewayCa: z
    .string()
    .optional()
    .describe("file with the CA certificates that the gateway is verified against; the system's by default"),
  lifetimeSeconds: z
    .int()
    .min(1)
    .max(300)
    .default(60)
    .describe('time from `created` to `expires` of a signature; the gateway accepts 60 unless told otherwise'),
});
export type SignerConfiguration = z.infer<typeof signerConfiguration>;
