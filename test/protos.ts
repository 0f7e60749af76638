// Two readings of Envoy's API: the full protos, as the package of gRPC's xDS client carries them, and the subset in protos/.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const deps = (name: string) => here(`../node_modules/@grpc/grpc-js-xds/deps/${name}`);

const FULL = [
  deps('envoy-api'),
  deps('googleapis'),
  deps('protoc-gen-validate'),
  deps('xds'),
  here('../node_modules/protobufjs'),
];
const SUBSET = [here('../protos')];
const SERVICES = ['envoy/service/auth/v3/external_auth.proto', 'envoy/service/ext_proc/v3/external_processor.proto'];

export const fullProtos = load(FULL);
export const subsetProtos = load(SUBSET);

function load(folders: readonly string[]): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => {
    // What is in no folder is one of Google's own types, which protobufjs carries in its code.
    return folders.map((folder) => `${folder}/${target}`).find(existsSync) ?? target;
  };
  root.loadSync(SERVICES, { keepCase: true });
  root.resolveAll();
  return root;
}

export type Message = Record<string, unknown>;

export function encode(root: protobuf.Root, type: string, message: Message): Buffer {
  const messageType = root.lookupType(type);
  const problem = messageType.verify(message);
  if (problem !== null) throw new Error(problem);
  return Buffer.from(messageType.encode(messageType.fromObject(message)).finish());
}

/** Fields that are not in the message are left out; bytes are Buffers and enums numbers. */
export function decode(root: protobuf.Root, type: string, bytes: Uint8Array): Message {
  const messageType = root.lookupType(type);
  return messageType.toObject(messageType.decode(bytes), { oneofs: false }) as Message;
}

export const CHECK_REQUEST = 'envoy.service.auth.v3.CheckRequest';
export const PROCESSING_REQUEST = 'envoy.service.ext_proc.v3.ProcessingRequest';
export const PROCESSING_RESPONSE = 'envoy.service.ext_proc.v3.ProcessingResponse';
export const CHECK_RESPONSE = 'envoy.service.auth.v3.CheckResponse';
