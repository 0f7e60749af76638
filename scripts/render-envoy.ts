/**
 * Writes envoy/gateway.yaml and envoy/sidecar.yaml: `node scripts/render-envoy.ts`. With `--check` it writes nothing and exits with 1
 * when a file differs from what would be written.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { renderedBootstraps } from '../src/envoy/default-bootstraps.ts';

const check = process.argv.includes('--check');
for (const [name, text] of Object.entries(renderedBootstraps())) {
  const file = new URL(`../envoy/${name}`, import.meta.url);
  if (!check) {
    await writeFile(file, text);
  } else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    process.stderr.write(`envoy/${name} differs: run node scripts/render-envoy.ts\n`);
    process.exitCode = 1;
  }
}
