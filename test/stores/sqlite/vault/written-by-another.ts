// The program that writes (vault-writer.ts), watched: what it sent, and what was acknowledged to it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Said } from './vault-writer.ts';

const PROGRAM = fileURLToPath(new URL('vault-writer.ts', import.meta.url));
/** The sources are stripped of their types once, not with each start. */
const CACHE = join(tmpdir(), 'hermesbridge-test-compile-cache');

export interface Sent {
  readonly did: string;
  readonly version: number;
  readonly line: string;
}

export class AnotherWriter {
  readonly sent = new Map<string, Sent>();
  /** Sequences by `DID version`. */
  readonly kept = new Map<string, number>();
  readonly failures: string[] = [];
  readonly child: ChildProcess;
  /** Resolves with the first acknowledgement; rejects when there was none. */
  readonly started: Promise<void>;
  /** Everything that it said has been read. */
  readonly ended: Promise<void>;

  /** @param maxFileBlocks of 512 bytes that a file of it may have: what a full disk is to it */
  constructor(file: string, maxFileBlocks?: number) {
    const command = maxFileBlocks === undefined ? 'exec "$0" "$@"' : `ulimit -f ${maxFileBlocks}; exec "$0" "$@"`;
    this.child = spawn('sh', ['-c', command, process.execPath, PROGRAM, file], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_COMPILE_CACHE: CACHE },
    });
    const exited = once(this.child, 'exit');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.started = promise;
    promise.catch(() => {});
    this.ended = this.#listen(resolve).then(async () => {
      await exited;
      reject(new Error('it has ended before anything was acknowledged'));
    });
  }

  /** As the operating system ends it when memory is short: it has no say in it. */
  kill(): Promise<void> {
    this.child.kill('SIGKILL');
    return this.ended;
  }

  async #listen(onFirst: () => void): Promise<void> {
    const { stdout } = this.child;
    if (stdout === null) return;
    for await (const line of createInterface({ input: stdout })) {
      const said = read(line);
      if (said === undefined) continue;
      if ('failed' in said) this.failures.push(said.failed);
      else if ('sent' in said) this.sent.set(`${said.did} ${said.version}`, { ...said, line: said.sent });
      else {
        this.kept.set(`${said.did} ${said.version}`, said.sequence);
        onFirst();
      }
    }
  }
}

/** The last line of one that was killed may be the half of one. */
function read(line: string): Said | undefined {
  try {
    return JSON.parse(line) as Said;
  } catch {
    return undefined;
  }
}
