// A TLS connection to a host whose name came from outside: to permitted addresses only, judged when the name has been looked up
// and once more by the address that the socket is connected to, before a byte is sent.

import type { LookupAddress } from 'node:dns';
import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import type { AddressPolicy } from './address-policy.ts';
import { FailedFetch, RefusedFetch } from './fetch-error.ts';

export interface Connecting {
  readonly hostname: string;
  readonly port: number;
  /** What the name was looked up as. */
  readonly addresses: readonly LookupAddress[];
  readonly permitted: AddressPolicy;
  readonly secureContext: SecureContext;
  /** Destroys whatever there is by then; its reason becomes the error. */
  readonly signal: AbortSignal;
}

/** Of each family: an answer may name any number of addresses, and each would be tried. */
const ADDRESSES_TRIED = 2;
/** OpenSSL's words for a peer that does not speak TLS, or none that is young enough. */
const NOT_TLS =
  /^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNSUPPORTED_PROTOCOL|.*ALERT_PROTOCOL_VERSION)$/;

/** Resolves once the certificate holds. @throws {RefusedFetch | FailedFetch} */
export async function connectPermitted(connecting: Connecting): Promise<TLSSocket> {
  const tcp = await openTcp(connecting);
  try {
    return await openTls(tcp, connecting);
  } catch (error) {
    tcp.destroy();
    throw error;
  }
}

async function openTcp({ hostname, port, addresses, permitted, signal }: Connecting): Promise<Socket> {
  const reachable = addresses.filter(({ address }) => permitted(address));
  if (reachable.length === 0) throw new RefusedFetch(`${hostname}: none of its addresses may be connected to`);
  const tried = [4, 6].flatMap((family) => reachable.filter((one) => one.family === family).slice(0, ADDRESSES_TRIED));
  tried.sort((a, b) => reachable.indexOf(a) - reachable.indexOf(b));
  const lookup: LookupFunction = (_hostname, _options, found) => found(null, tried);
  const socket = connectTcp({ host: hostname, port, lookup, autoSelectFamily: true, noDelay: true });
  await settled(socket, 'connect', signal, ({ code }) => new FailedFetch(`${hostname}: no connection: ${code}`));
  const { remoteAddress } = socket;
  if (remoteAddress !== undefined && permitted(remoteAddress)) return socket;
  socket.destroy();
  throw new RefusedFetch(`${hostname}: connected to an address that may not be connected to`);
}

async function openTls(socket: Socket, { hostname, secureContext, signal }: Connecting): Promise<TLSSocket> {
  const tls = connectTls({
    socket,
    servername: hostname,
    secureContext,
    // Said in so many words, since an environment variable turns the default off.
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
  });
  await settled(tls, 'secureConnect', signal, ({ code = 'closed' }) => {
    // Its message repeats names out of the certificate; the code does not.
    if (tls.authorizationError) return new RefusedFetch(`${hostname}: its certificate is not trusted: ${code}`);
    if (NOT_TLS.test(code)) return new RefusedFetch(`${hostname}: does not speak TLS 1.2 or later`);
    return new FailedFetch(`${hostname}: no TLS connection: ${code}`);
  });
  return tls;
}

type SystemError = Error & { readonly code?: string };

/** Waits for the event; whatever comes first otherwise destroys the socket. Errors after that have nobody to tell. */
function settled(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
  explain: (error: SystemError) => Error,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = () => fail(signal.reason as Error);
    const fail = (error: Error) => {
      signal.removeEventListener('abort', aborted);
      socket.destroy();
      reject(error);
    };
    socket.on('error', (error) => fail(explain(error)));
    socket.once('close', () => fail(explain(Object.assign(new Error('closed'), { code: 'closed' }))));
    socket.once(event, () => {
      signal.removeEventListener('abort', aborted);
      resolve();
    });
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted);
  });
}
