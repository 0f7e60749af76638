/** Envoy as a child of this program: the binary itself, or a docker client that holds its container. Both end with this program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { lifeline } from './lifeline.ts';

export interface EnvoyChild {
  /** Its outputs are Envoy's and it ends when Envoy has. In a group of its own, so that Ctrl-C reaches us alone and Envoy is stopped in order. */
  child: ChildProcess;
  /** Asks Envoy to end. */
  terminate(): void;
  /** How long Envoy is given then, until the child is killed. */
  killMillis: number;
  /** To be called when this program ends and can wait for nothing. */
  endWithUs(): void;
  /** Ends the error when Envoy's admin socket never answers. */
  advice: string;
}

export function startBinary(path: string, args: string[]): EnvoyChild {
  // Envoy is given no environment: a provider's key may be in ours.
  const child = spawn(path, args, { env: {}, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  if (child.pid !== undefined) child.once('close', lifeline(child.pid));
  return {
    child,
    terminate: () => child.kill('SIGTERM'),
    killMillis: 5000,
    endWithUs: () => child.kill('SIGKILL'),
    advice: '',
  };
}

/** @param args those of docker-command.ts: the container ends with the client's standard input, and so with us, without a lifeline. */
export function startContainer(args: string[]): EnvoyChild {
  // The client needs our environment; it passes none of it on.
  const child = spawn('docker', args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  child.stdin.on('error', () => {}); // it ended by itself
  const terminate = () => child.stdin.end();
  return {
    child,
    terminate,
    killMillis: 10_000, // in the container Envoy is killed after 5 s, and the daemon takes its time
    endWithUs: terminate, // a client killed between making a container and starting it would leave it behind
    advice:
      '; Docker in a virtual machine (Docker Desktop) or rootless shares neither our sockets nor the ports here: use an Envoy binary',
  };
}
