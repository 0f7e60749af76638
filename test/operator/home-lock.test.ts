import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { lockHome } from '../../src/operator/home-lock.ts';
import { OperatorError } from '../../src/operator/operator-error.ts';

const directory = mkdtempSync(join(tmpdir(), 'hb-lock-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const HOLDER = fileURLToPath(new URL('./holds-lock.ts', import.meta.url));

it('keeps a second command out while the first runs, names it, and goes with it however it ends', {
  timeout: 60_000,
}, async () => {
  const holder = spawn(process.execPath, [HOLDER, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  const refused = await lockHome(directory).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(OperatorError);
  expect(String(refused)).toContain(`process ${holder.pid}`);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  const release = await lockHome(directory);
  release();
  const again = await lockHome(directory);
  again();
  for (const name of ['lock', 'lock.pid']) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
});
