/**
 * Writes docs/reasons.md and docs/configuration.md out of the code: `node scripts/render-docs.ts`. With `--check` it writes nothing and
 * exits with 1 when a file differs from what would be written.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { configurationPage } from './configuration-page.ts';
import { reasonsPage } from './reasons-page.ts';

const check = process.argv.includes('--check');
for (const [name, text] of Object.entries({ 'reasons.md': reasonsPage(), 'configuration.md': configurationPage() })) {
  const file = new URL(`../docs/${name}`, import.meta.url);
  if (!check) {
    await writeFile(file, text);
  } else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    process.stderr.write(`docs/${name} differs: run node scripts/render-docs.ts\n`);
    process.exitCode = 1;
  }
}
