// docs/reasons.md, out of src/reason.ts and out of where each reason is given in src/.

import { globSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import { REASONS, type Reason } from '../src/reason.ts';

/** Rows of profile section 4; a new reason does not compile without its row. */
const ROWS: Readonly<Record<Reason, string>> = {
  'capability-missing': '1',
  malformed: '2',
  'signature-missing': '3',
  'signature-input': '3',
  'signature-expired': '4',
  'clock-skew': '4',
  'signature-key': '4',
  'chain-invalid': '5',
  'identity-unknown': '6',
  'identity-unavailable': '5, 6',
  'signature-invalid': '7',
  'digest-mismatch': '8',
  'nonce-replayed': '9',
  'nonce-quota': '9',
  revoked: '10',
  'revocation-stale': '10',
  'attestation-required': '11',
  'capability-insufficient': '12',
  'budget-exhausted': '14',
  'local-secret': 'sidecar',
  indeterminate: 'any',
};

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** Files in src/ that give a reason, by reason; a name that is no reason is among them. */
export function reasonsInUse(): Map<string, string[]> {
  const used = new Map<string, string[]>();
  const files = globSync('**/*.ts', { cwd: SRC }).map((file) => file.replaceAll('\\', '/'));
  for (const file of files.sort()) {
    // What ends a response that runs is no answer to a request.
    if (file === 'reason.ts' || file.startsWith('streams/')) continue;
    const code = readFileSync(`${SRC}/${file}`, 'utf8').replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g, '');
    for (const [, reason = ''] of code.matchAll(/(?:\b(?:denied|deny|problem)\(\s*|\breason: )'([a-z-]+)'/g)) {
      const places = used.get(reason) ?? [];
      used.set(reason, places.includes(file) ? places : [...places, file]);
    }
  }
  return used;
}

export function reasonsPage(): string {
  const used = reasonsInUse();
  const places = (reason: string) => [
    ...new Set((used.get(reason) ?? []).map((file) => (file.includes('/') ? `${dirname(file)}/` : file))),
  ];
  const rows = Object.entries(REASONS).map(([reason, { status, title }]) => {
    return `| [\`${reason}\`](#${reason}) | ${status} | ${ROWS[reason as Reason]} | ${title} |`;
  });
  const sections = Object.entries(REASONS).map(([reason, { status, title, remedy }]) =>
    [
      `## ${reason}`,
      '',
      `**${title}.** Status ${status}, row: ${ROWS[reason as Reason]}. Given in ${places(reason)
        .map((place) => `\`src/${place}\``)
        .join(', ')}.`,
      '',
      remedy,
      '',
    ].join('\n'),
  );
  return [
    '<!-- Written by scripts/render-docs.ts out of src/reason.ts: change it there and run `npm run render`. -->',
    '',
    '# Reasons',
    '',
    'Why a request is denied. The reason is `error.code` in the answer, the end of its `type`, and `reason` in the record; `instance` in the',
    'answer is `decision_id` in the record. The rows are those of the order of checks in the profile (section 4): the first check that fails',
    'answers; `sidecar` is a denial of the sidecar itself. A `detail` beside the reason says more about the one request, and never repeats',
    'a credential.',
    '',
    '| reason | status | row | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
    ...sections,
  ].join('\n');
}
