// Hosts of DIDs on this machine. DIDs name hosts and no addresses, so the hosts need a name: one of this machine, that leads to an
// address of its own.

import 'reflect-metadata';
import { randomUUID, webcrypto } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { TlsOptions } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { locationOfDidWeb } from '../../src/vault/did-location.ts';
import { makeAddressPolicy } from '../../src/vault/fetch/address-policy.ts';
import { type Answer, answerWith, startHost } from '../vault/fetch/hostile-host.ts';

export interface OwnName {
  readonly name: string;
  /** All of them IPv4 and none of them public. */
  readonly addresses: readonly [string, ...string[]];
}

/** A name that a DID may have and that leads to this machine and nowhere else; `undefined` where there is none. */
async function findOwnName(): Promise<OwnName | undefined> {
  const isPublic = makeAddressPolicy({ allowed: [] });
  for (const name of new Set([hostname().toLowerCase(), ...namesInHostsFile()])) {
    try {
      locationOfDidWeb(`did:web:${name}`);
      const found = (await lookup(name, { all: true })).map(({ address }) => address);
      const [first, ...others] = found;
      if (first === undefined || found.some((address) => address.includes(':') || isPublic(address))) continue;
      const server = await startHost(undefined, undefined, first);
      await server[Symbol.asyncDispose]();
      return { name, addresses: [first, ...others] };
    } catch {
      // No host name, not known, or not one of ours: the next.
    }
  }
  return undefined;
}

function namesInHostsFile(): string[] {
  try {
    const lines = readFileSync('/etc/hosts', 'utf8').split('\n');
    return lines.flatMap((line) =>
      /^(?:127|10|192\.168)\./.test(line) ? line.replace(/#.*/, '').trim().split(/\s+/).slice(1) : [],
    );
  } catch {
    return [];
  }
}

/** A certificate that is its own authority, for one name. */
export async function selfSigned(name: string): Promise<{ readonly cert: string; readonly key: string }> {
  x509.cryptoProvider.set(webcrypto as typeof globalThis.crypto);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // Authorities are told apart by their names.
    name: `CN=${randomUUID()}`,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { cert: certificate.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
}

export interface Site extends AsyncDisposable {
  /** As `resolution.web` names it. */
  readonly host: string;
  /** As a DID spells it. */
  readonly spelled: string;
  readonly port: number;
  /** By path, e.g. `/agent/did.json`; anything else is not found. */
  readonly files: Map<string, string | Answer>;
  connections(): number;
  /** Paths asked for, oldest first. */
  asked(): readonly string[];
  /** Ends the server; whoever comes finds nobody. */
  close(): Promise<void>;
}

/** @param tls none for a host that speaks plain HTTP */
export async function startSite(tls: TlsOptions | undefined): Promise<Site> {
  const { name, addresses } = OWN;
  const files = new Map<string, string | Answer>();
  const answer: Answer = (socket, head) => {
    const path = head.split(' ', 2)[1] ?? '';
    const file = files.get(path) ?? answerWith('{}', [], '404 Not Found');
    (typeof file === 'string' ? answerWith(file) : file)(socket, head);
  };
  const server = await startHost(tls, answer, addresses[0]);
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= Promise.resolve(server[Symbol.asyncDispose]()));
  return {
    host: `${name}:${server.port}`,
    spelled: `${name}%3A${server.port}`,
    port: server.port,
    files,
    connections: server.connections,
    asked: () => server.requests.map((head) => head.split(' ', 2)[1] ?? ''),
    close,
    [Symbol.asyncDispose]: close,
  };
}

const found = await findOwnName();
/** For the name of a suite that is skipped where it says so. */
export const NO_NAME = found ? '' : ' (skipped: no name of this machine leads to a private IPv4 address of it)';
export const OWN: OwnName = found ?? { name: 'none.test', addresses: ['127.0.0.1'] };
