import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { makeDirectory, moveDurably, readIfThere, removeDurably, writeDurably } from '../../src/operator/durable-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-durable-'));
const file = (name: string) => join(directory, name);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('files that are whole or not there', () => {
  it('can be read by their owner alone, whatever the umask', async () => {
    const before = process.umask(0);
    try {
      await writeDurably(file('one'), 'text');
      await makeDirectory(file('folder/in/it'));
    } finally {
      process.umask(before);
    }
    expect([readFileSync(file('one'), 'utf8'), statSync(file('one')).mode & 0o777]).toEqual(['text', 0o600]);
    expect(statSync(file('folder/in/it')).mode & 0o777).toBe(0o700);
  });

  it('replace the old one, which keeps nothing of its mode, and leave nothing beside', async () => {
    writeFileSync(file('two'), 'old', { mode: 0o644 });
    await writeDurably(file('two'), 'new');
    expect([readFileSync(file('two'), 'utf8'), statSync(file('two')).mode & 0o777]).toEqual(['new', 0o600]);
    expect(readdirSync(directory).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('leave nothing beside when they cannot be written', async () => {
    await makeDirectory(file('taken'));
    await expect(writeDurably(file('taken'), 'text')).rejects.toThrow();
    expect(readdirSync(directory).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('are read, moved and removed; one that is not there is `undefined`', async () => {
    await writeDurably(file('three'), 'text');
    await moveDurably(file('three'), file('four'));
    expect([await readIfThere(file('three')), await readIfThere(file('four'))]).toEqual([undefined, 'text']);
    await removeDurably(file('four'));
    await removeDurably(file('four'));
    expect(await readIfThere(file('four'))).toBeUndefined();
    await expect(readIfThere(directory)).rejects.toThrow();
  });

  it('are whole after the program was killed in the middle of writing', { timeout: 60_000 }, async () => {
    const written = file('killed');
    for (let round = 0; round < 8; round++) {
      const child = spawn(process.execPath, [WRITER, written], { stdio: ['ignore', 'pipe', 'inherit'] });
      await started(child);
      await sleep(round * 7);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const lines = readFileSync(written, 'utf8').split('\n');
      expect([lines.length, new Set(lines.slice(0, -1)).size, lines.at(-1)]).toEqual([20_001, 1, '']);
    }
  });
});

const WRITER = fileURLToPath(new URL('./writes-forever.ts', import.meta.url));

async function started({ stdout }: ChildProcess): Promise<void> {
  if (stdout === null) throw new Error('no output');
  await once(stdout, 'data');
}
