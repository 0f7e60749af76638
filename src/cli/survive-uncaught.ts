// What a program does with what nobody caught.

import { fail } from './output.ts';

/** Nothing may end the process but a signal: what nobody caught is logged, and the check it belonged to is denied by its deadline. */
export function surviveUncaught(): void {
  // Whoever reads our output may stop reading (`| head`); that is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => error.code === 'EPIPE' || fail(error));
  // To say so on standard error again, and again, would keep a program busy that nobody listens to.
  process.stderr.on('error', () => {});
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', (error) => fail(error));
}
