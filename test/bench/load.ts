// The load generator as the bench drives it.

import type { BatchOrder, FromGenerator, RunOrder, RunResult, ToGenerator } from './load-protocol.ts';
import { startProgram } from './program.ts';

/** What was measured is worth nothing; the message holds the answer that was not 200. */
export class VoidRun extends Error {
  override readonly name = 'VoidRun';
}

export interface Load {
  /** Makes the next batch; may go on while the last one is sent. */
  prepare(order: BatchOrder): Promise<void>;
  /** Sends the oldest batch. @throws {VoidRun} */
  run(order: RunOrder): Promise<RunResult>;
  stop(): Promise<void>;
}

export function startLoad(): Load {
  const program = startProgram(process.execPath, [new URL('./load-generator.ts', import.meta.url).pathname]);
  const preparing: PromiseWithResolvers<void>[] = [];
  let running: PromiseWithResolvers<RunResult> | undefined;
  const fail = (error: Error) => {
    running?.reject(error);
    for (const { reject } of preparing) reject(error);
  };
  program.child.on('exit', () => fail(new Error(`the load generator ended:\n${program.log()}`)));
  program.child.on('message', (message: FromGenerator) => {
    if ('prepared' in message) preparing.shift()?.resolve();
    else if ('ran' in message) running?.resolve(message.ran);
    else fail(new VoidRun(message.voided));
  });
  const send = (message: ToGenerator) => program.child.send(message);
  return {
    prepare: (prepare) => {
      const prepared = Promise.withResolvers<void>();
      preparing.push(prepared);
      send({ prepare });
      return prepared.promise;
    },
    run: (run) => {
      running = Promise.withResolvers<RunResult>();
      send({ run });
      return running.promise;
    },
    stop: () => program.stop(),
  };
}
