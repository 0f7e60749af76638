// The thread that writes sightings: a batch at a time, off the path of every answer.

import { parentPort, workerData } from 'node:worker_threads';
import { keepFacts, openSightings } from './sighting-database.ts';
import type { FromSightingWriter, SightingThreadData, ToSightingWriter } from './sighting-protocol.ts';
import { makeSightingWriter } from './sighting-writer.ts';

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread');
const say = (message: FromSightingWriter) => port.postMessage(message);

try {
  const { file, limits, facts } = workerData as SightingThreadData;
  const database = openSightings(file);
  keepFacts(database, facts);
  const writer = makeSightingWriter(database, limits);
  say({ ready: true });
  port.on('message', (message: ToSightingWriter) => {
    if ('close' in message) {
      database.close();
      port.close();
      return;
    }
    let refused = 0;
    let failure: string | undefined;
    try {
      database.exec('BEGIN IMMEDIATE');
      if ('rows' in message) refused = writer.write(message.rows, message.now);
      else writer.prune(message.now);
      database.exec('COMMIT');
    } catch (error) {
      failure = messageOf(error);
      if (database.isTransaction) database.exec('ROLLBACK');
    }
    // Only a batch is waited for.
    if (failure !== undefined) say({ lost: 'rows' in message ? message.rows.length : 0, why: failure });
    else if ('rows' in message) say({ written: refused });
  });
} catch (error) {
  say({ failed: messageOf(error) });
  port.close();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
