// The thread that writes: one transaction for each batch, so that one sync serves all decisions in flight,
// and no sync ever holds up the event loop that answers Envoy.

import type { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { lockStore, openDatabase } from './database.ts';
import { advanceFloor, nonceLines, readFacts } from './nonce-floor.ts';
import { type Batch, type FromWriter, fromLine, LINE_END, type ToWriter } from './writer-protocol.ts';

export interface WriterData {
  readonly file: string;
  /** Longest time in milliseconds that a nonce may be needed. */
  readonly windowMillis: number;
}

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread');
const say = (message: FromWriter) => port.postMessage(message);

try {
  const { file, windowMillis } = workerData as WriterData;
  const lock = lockStore(file);
  const database = openDatabase(file);
  say({ facts: readFacts(database) });
  for (const nonces of nonceLines(database)) say({ nonces });
  say({ ready: true });
  const write = makeWriter(database);
  const advance = advanceFloor(database);
  const advancing = setInterval(advance, windowMillis);
  port.on('message', (message: ToWriter) => {
    if ('batch' in message) return write(message.batch);
    clearInterval(advancing);
    database.close();
    lock.close();
    port.close();
  });
} catch (error) {
  say({ failed: error instanceof Error ? error.message : String(error) });
  port.close();
}

function makeWriter(database: DatabaseSync): (batch: Batch) => void {
  const begin = database.prepare('BEGIN IMMEDIATE');
  const insert = database.prepare('INSERT INTO decisions (record, nonce, jkt, retain_until) VALUES (?, ?, ?, ?)');
  const commit = database.prepare('COMMIT');
  return ({ id, lines }) => {
    try {
      const rows = lines.split(LINE_END);
      // A row by itself is a transaction by itself.
      const isOne = rows.length === 1;
      if (!isOne) begin.run();
      for (const line of rows) {
        const { record, nonce } = fromLine(line);
        insert.run(record, nonce?.entry ?? null, nonce?.jkt ?? null, nonce?.retainUntil ?? null);
      }
      if (!isOne) commit.run();
      say({ committed: id });
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      say({ refused: id, cause: error instanceof Error ? error.message : String(error) });
    }
  };
}
