/** A throw-away CA and what it signed, made with the openssl command, since neither Node nor a dependency issues certificates. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificates {
  trustedCaFile: string;
  /** For `DNS:localhost, DNS:service.test, IP:127.0.0.1`. */
  server: { certificateFile: string; keyFile: string };
  client: { certificateFile: string; keyFile: string };
}

export function makeCertificates(directory: string): Certificates {
  const file = (name: string) => join(directory, name);
  const openssl = (args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(['req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=test CA']);
  const issue = (name: string, subjectAltName: string) => {
    openssl(['req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`]);
    writeFileSync(file(`${name}.ext`), `subjectAltName=${subjectAltName}\n`);
    const ca = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
    openssl(['x509', '-req', '-in', `${name}.csr`, ...ca, '-out', `${name}.crt`, '-days', '2', '-extfile', `${name}.ext`]);
    return { certificateFile: file(`${name}.crt`), keyFile: file(`${name}.key`) };
  };
  return {
    trustedCaFile: file('ca.crt'),
    server: issue('server', 'DNS:localhost,DNS:service.test,IP:127.0.0.1'),
    client: issue('client', 'URI:spiffe://cluster.test/envoy'),
  };
}
