// The floor: a Check that only says OK, as anyone would write it with grpc-js: the stock @grpc/proto-loader codec over Envoy's
// full protos, which @grpc/grpc-js-xds ships. Runs as a process of its own: `node ok-only.ts SOCKET`.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const [socket] = process.argv.slice(2);
if (socket === undefined) throw new Error('usage: node ok-only.ts SOCKET');
process.on('disconnect', () => process.exit());

const protos = join(dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')), 'deps');
const includeDirs = ['envoy-api', 'googleapis', 'protoc-gen-validate', 'xds'].map((folder) => join(protos, folder));
const loaded = loadPackageDefinition(loadSync('envoy/service/auth/v3/external_auth.proto', { includeDirs }));

const check: UntypedHandleCall = (_call: unknown, callback: (error: null, reply: object) => void) =>
  callback(null, { status: { code: 0 }, okResponse: {} });

const server = new Server({ 'grpc.max_receive_message_length': 8 * 1024 * 1024, 'grpc.enable_channelz': 0 });
server.addService(authorization(loaded).service, { Check: check });
server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => {
  if (error) throw error;
});

function authorization(definition: unknown): ServiceClientConstructor {
  let found = definition;
  for (const name of ['envoy', 'service', 'auth', 'v3', 'Authorization']) found = (found as Record<string, unknown>)[name];
  return found as ServiceClientConstructor;
}
