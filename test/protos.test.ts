// protos/ is a subset of Envoy's API on the wire: the same names, numbers and types, so that each side reads what the other wrote.

import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { decodeCheckRequest } from '../src/ext-authz/decode-check-request.ts';
import { CHECK_REQUEST, CHECK_RESPONSE, decode, encode, fullProtos, type Message, subsetProtos } from './protos.ts';

function everyType(root: protobuf.NamespaceBase): (protobuf.Type | protobuf.Enum | protobuf.Service)[] {
  return root.nestedArray.flatMap((nested) => {
    if (nested instanceof protobuf.Type) return [nested, ...everyType(nested)];
    if (nested instanceof protobuf.Enum || nested instanceof protobuf.Service) return [nested];
    return nested instanceof protobuf.Namespace ? everyType(nested) : [];
  });
}

const ours = everyType(subsetProtos);
const messages = ours.filter((type) => type instanceof protobuf.Type);
const fields = messages.flatMap((type) =>
  type.fieldsArray.map((field) => [`${type.fullName}.${field.name}`, type, field] as const),
);

test('every message that the service uses is there', () => {
  const names = ours.map(({ fullName }) => fullName);
  for (const name of [
    'CheckRequest',
    'CheckResponse',
    'AttributeContext',
    'DeniedHttpResponse',
    'OkHttpResponse',
    'Authorization',
  ]) {
    expect(names).toContain(`.envoy.service.auth.v3.${name}`);
  }
});

test.each(fields)('%s has the number and the type of the full one', (_, type, field) => {
  const full = fullProtos.lookupType(type.fullName).fields[field.name];
  expect(full, 'a field of the full message').toBeDefined();
  const shape = ({ id, repeated, map, partOf, resolvedType, ...rest }: protobuf.Field) => ({
    id,
    repeated,
    map,
    keyType: 'keyType' in rest ? rest.keyType : undefined,
    type: resolvedType?.fullName ?? rest.type,
    oneof: partOf?.name,
  });
  expect(shape(field)).toEqual(full && shape(full));
});

test.each(ours.filter((type) => type instanceof protobuf.Enum).map((type) => [type.fullName, type] as const))(
  '%s has the values of the full one',
  (name, type) => {
    expect(fullProtos.lookupEnum(name).values).toMatchObject(type.values);
  },
);

test.each([
  ['envoy.service.auth.v3.Authorization', 'Check'],
  ['envoy.service.ext_proc.v3.ExternalProcessor', 'Process'],
])('%s has the full one’s %s, with its request and response', (name, method) => {
  const shape = ({ requestType, responseType, requestStream, responseStream }: protobuf.Method) => ({
    requestType,
    responseType,
    requestStream,
    responseStream,
  });
  const [mine, full] = [subsetProtos, fullProtos].map((root) => root.lookupService(name).methods);
  expect(Object.keys(mine ?? {})).toEqual([method]);
  expect(mine?.[method] && shape(mine[method])).toEqual(full?.[method] && shape(full[method]));
});

/** A request with everything that Envoy 1.40 fills in, the parts that are not ours included. */
const fullRequest: Message = {
  attributes: {
    source: { address: { socket_address: { address: '127.0.0.1', port_value: 40_000 } }, principal: 'spiffe://a/b' },
    destination: { address: { socket_address: { address: '127.0.0.1', port_value: 8443 } } },
    request: {
      time: { seconds: 1_767_225_600, nanos: 5 },
      http: {
        id: '1234',
        method: 'POST',
        path: '/openai/v1/chat/completions?a=b',
        host: 'gateway.example',
        scheme: 'https',
        query: 'q',
        fragment: 'f',
        size: 5,
        protocol: 'HTTP/2',
        raw_body: Buffer.from([0xff, 0, 0x80]),
        header_map: {
          headers: [
            { key: ':path', raw_value: Buffer.from('/x') },
            { key: 'x-a', raw_value: Buffer.from([0xff, 0x41]) },
            { key: 'x-a', value: 'second' },
          ],
        },
      },
    },
    context_extensions: { one: '1' },
    tls_session: { sni: 'gateway.example' },
  },
};

describe('a CheckRequest written with the full protos', () => {
  const bytes = encode(fullProtos, CHECK_REQUEST, fullRequest);

  test('is read with protos/', () => {
    const { attributes } = decode(subsetProtos, CHECK_REQUEST, bytes) as { attributes: { request: { http: Message } } };
    expect(attributes).toEqual({
      request: {
        http: {
          id: '1234',
          method: 'POST',
          path: '/openai/v1/chat/completions?a=b',
          host: 'gateway.example',
          scheme: 'https',
          raw_body: Buffer.from([0xff, 0, 0x80]),
          header_map: {
            headers: [
              { key: ':path', raw_value: Buffer.from('/x') },
              { key: 'x-a', raw_value: Buffer.from([0xff, 0x41]) },
              { key: 'x-a', value: 'second' },
            ],
          },
        },
      },
    });
  });

  test('is read by the reader of the service', () => {
    expect(decodeCheckRequest(bytes)).toEqual({
      id: '1234',
      method: 'POST',
      path: '/openai/v1/chat/completions?a=b',
      host: 'gateway.example',
      scheme: 'https',
      body: '',
      rawBody: Buffer.from([0xff, 0, 0x80]),
      headers: [
        [':path', '/x'],
        ['x-a', '\u00ffA'],
        ['x-a', 'second'],
      ],
    });
  });
});

test('a CheckRequest written with protos/ is read with the full ones', () => {
  const http = {
    id: 'i',
    method: 'GET',
    path: '/',
    host: 'h',
    scheme: 'https',
    headers: { a: 'b' },
    body: 'text',
    raw_body: Buffer.of(1),
  };
  const message = { attributes: { request: { http } } };
  expect(decode(fullProtos, CHECK_REQUEST, encode(subsetProtos, CHECK_REQUEST, message))).toEqual(message);
});

test.each<[string, Message]>([
  [
    'a denial',
    {
      status: { code: 7, message: 'no' },
      denied_response: { status: { code: 403 }, headers: [{ header: { key: 'a', value: 'b' } }], body: '{}' },
    },
  ],
  [
    'a permit',
    {
      status: { code: 0 },
      ok_response: { headers: [{ header: { key: 'a', value: 'b' } }], headers_to_remove: ['c', 'd'] },
      dynamic_metadata: { fields: { n: { numberValue: 1.5 }, s: { stringValue: 't' } } },
    },
  ],
])('%s is read alike, whichever protos wrote it', (_, message) => {
  expect(decode(fullProtos, CHECK_RESPONSE, encode(subsetProtos, CHECK_RESPONSE, message))).toEqual(message);
  expect(decode(subsetProtos, CHECK_RESPONSE, encode(fullProtos, CHECK_RESPONSE, message))).toEqual(message);
});
