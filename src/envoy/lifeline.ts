/**
 * Ends a child when this program is gone, however it went: killed with SIGKILL it can send no signal any more, and an Envoy left
 * behind would hold its port and answer 503 on it. A shell waits for the end of a pipe that only this program holds open.
 */
import { spawn } from 'node:child_process';

/** @returns cuts the lifeline: to be called when the child has ended, so that its pid is never signalled again. */
export function lifeline(pid: number): () => void {
  const shell = spawn('/bin/sh', ['-c', `cat >/dev/null; kill -TERM ${pid}; sleep 5; kill -KILL ${pid}`], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: '/usr/bin:/bin' },
  });
  // Without a shell there is no lifeline, and the child still ends with every other way this program ends.
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  return () => {
    if (shell.pid === undefined || shell.exitCode !== null) return;
    try {
      process.kill(-shell.pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  };
}
