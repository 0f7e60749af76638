// OPA-Envoy with what a platform team would write for it: one ES256 JWT verified, and its models held against the parsed body.
// No signature over the request, no nonce, no revocation, no record.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { type Program, startProgram, untilListening } from './program.ts';

const POLICY = `package envoy.authz

import input.attributes.request.http as http

default allow := false

allow if {
	http.method == "POST"
	startswith(http.headers.authorization, "Bearer ")
	bearer := substring(http.headers.authorization, 7, -1)
	[valid, _, claims] := io.jwt.decode_verify(bearer, {"cert": data.jwks, "alg": "ES256", "aud": "gw"})
	valid
	input.parsed_body.model in claims.models
}
`;

/** @param executable OPA with the Envoy plugin (`opa-envoy-plugin`). */
export async function startOpaEnvoy(executable: string, directory: string, socket: string, jwks: string): Promise<Program> {
  const configuration = {
    plugins: { envoy_ext_authz_grpc: { addr: `unix://${socket}`, path: 'envoy/authz/allow', 'enable-reflection': false } },
    decision_logs: { console: false },
  };
  const files = {
    configuration: join(directory, 'opa.yaml'),
    policy: join(directory, 'policy.rego'),
    data: join(directory, 'data.json'),
  };
  await writeFile(files.configuration, stringify(configuration));
  await writeFile(files.policy, POLICY);
  await writeFile(files.data, JSON.stringify({ jwks }));
  const address = `127.0.0.1:${await freePort()}`;
  const words = [
    'run',
    '--server',
    '--addr',
    address,
    '-c',
    files.configuration,
    '--log-level',
    'error',
    files.policy,
    files.data,
  ];
  const program = startProgram(executable, words);
  await untilListening(program, socket);
  return program;
}
