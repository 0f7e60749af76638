/** A throw-away CA and what it signed, valid for two days. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

export interface Certificates {
  trustedCaFile: string;
  /** For `DNS:localhost, DNS:service.test, IP:127.0.0.1`. */
  server: { certificateFile: string; keyFile: string };
  client: { certificateFile: string; keyFile: string };
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const validity = () => ({ notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 2 * 86_400_000) });
const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;

export async function makeCertificates(directory: string): Promise<Certificates> {
  x509.cryptoProvider.set(webcrypto as typeof globalThis.crypto);
  const authorityKeys = await newKeys();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test CA',
    ...validity(),
    signingAlgorithm: algorithm,
    keys: authorityKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  const trustedCaFile = join(directory, 'ca.crt');
  writeFileSync(trustedCaFile, authority.toString('pem'));

  const issue = async (name: string, subjectAltNames: x509.JsonGeneralNames) => {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      subject: `CN=${name}`,
      issuer: authority.subject,
      ...validity(),
      signingAlgorithm: algorithm,
      signingKey: authorityKeys.privateKey,
      publicKey: keys.publicKey,
      extensions: [new x509.SubjectAlternativeNameExtension(subjectAltNames)],
    });
    const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    const files = { certificateFile: join(directory, `${name}.crt`), keyFile: join(directory, `${name}.key`) };
    writeFileSync(files.certificateFile, certificate.toString('pem'));
    writeFileSync(files.keyFile, `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`);
    return files;
  };
  return {
    trustedCaFile,
    server: await issue('server', [
      { type: 'dns', value: 'localhost' },
      { type: 'dns', value: 'service.test' },
      { type: 'ip', value: '127.0.0.1' },
    ]),
    client: await issue('client', [{ type: 'url', value: 'spiffe://cluster.test/envoy' }]),
  };
}
