// The thread that verifies logs. What runs in it reads what strangers wrote, so it has no environment, no way to fetch
// anything and nothing to print to: didwebvh-ts would do all three.

import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { parentPort } from 'node:worker_threads';
import type { FromVerifier, ToVerifier } from './log-verifier-protocol.ts';
import { VersionNotFound } from './select-version.ts';
import { InvalidLog } from './verified-log.ts';
import { verifyLog } from './verify-log.ts';

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread');
const say = (message: FromVerifier) => port.postMessage(message);

Reflect.deleteProperty(globalThis, 'fetch');
globalThis.console = new Console(new Writable({ write: (_chunk, _encoding, done) => done() }));

port.on('message', (request: ToVerifier) => {
  verifyLog(request).then(
    (log) => say({ log }),
    (error: unknown) => {
      if (error instanceof InvalidLog) say({ invalid: error.message, notFound: error instanceof VersionNotFound });
      else say({ failed: error instanceof Error ? error.message : String(error) });
    },
  );
});
say({ ready: true });
