// `records`: what the gateway decided, read from its store while it runs.

import { type Command, InvalidArgumentError } from 'commander';
import { openForReading, StoreError } from '../stores/sqlite/database.ts';
import { CommandError, type OutputOptions, print } from './output.ts';

interface RecordOptions extends OutputOptions {
  store: string;
  last: number;
  decision?: string;
}

export function addRecordCommands(program: Command): void {
  program
    .command('records')
    .summary('show the decisions of a gateway')
    .description("Reads the newest records from a gateway's store, oldest first. The gateway may be running.")
    .requiredOption('--store <file>', "the gateway's store (verify.store.file)")
    .option('--last <n>', 'how many', count, 10)
    .option('--decision <id>', 'only the decision with this id, as the `instance` of a denial names it')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  hermesbridge records --store run/hermesbridge.db --last 5')
    .action(show);
}

function show({ store, last, decision, ...output }: RecordOptions): void {
  const records = readRecordsOf(store, last, decision);
  const line = (record: Record<string, unknown>) =>
    [record.at, record.effect, record.reason ?? record.model ?? '', record.method, record.path, record.decision_id].join('  ');
  print(output, records, records.map(line).join('\n'));
}

/** SQLite's own words name neither the file nor what to do about it. */
function readRecordsOf(...[store, last, decision]: Parameters<typeof readRecords>): Record<string, unknown>[] {
  try {
    return readRecords(store, last, decision);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(`${store} is not the store of a gateway (${why}): name the file of verify.store.file`);
  }
}

/** @returns the newest records, oldest first. @throws {StoreError} when there is no store. */
export function readRecords(store: string, last: number, decision?: string): Record<string, unknown>[] {
  const database = openForReading(store);
  try {
    const rows =
      decision === undefined
        ? database.prepare('SELECT record FROM decisions ORDER BY seq DESC LIMIT ?').all(last)
        : database
            .prepare("SELECT record FROM decisions WHERE record ->> 'decision_id' = ? ORDER BY seq DESC LIMIT ?")
            .all(decision, last);
    return rows.reverse().map((row) => JSON.parse(String(row.record)) as Record<string, unknown>);
  } finally {
    database.close();
  }
}

function count(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('must be a whole number from 1');
  return Number(text);
}
