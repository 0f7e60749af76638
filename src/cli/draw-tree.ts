// A tree of delegations, drawn: a line for each link, and below it what it may do and what became of it. Nothing is cut off: what does
// not fit goes on in the next line, since two names that differ at the end must not look the same.

import type { ConcerningView, LinkView, TreeView } from '../sightings/views.ts';
import { grantWords } from './grant-lines.ts';
import { shownName, shownSentence, shownTime } from './shown-text.ts';

/** `strong`: what was asked for; `bad`, `warn`, `dim`: revoked, narrowed, and what is not in force any more. */
export type TreeStyle = 'strong' | 'bad' | 'warn' | 'dim' | 'plain';

export interface DrawSettings {
  /** Columns of the terminal. */
  readonly width: number;
  readonly paint: (style: TreeStyle, text: string) => string;
}

interface Part {
  readonly style: TreeStyle;
  readonly text: string;
}

const GAP = '  ';
const LEAST_COLUMNS = 20;

export function drawTree({ links, restrictions }: Pick<TreeView, 'links' | 'restrictions'>, settings: DrawSettings): string {
  const concerning = new Map(restrictions.map((restriction) => [restriction.id, restriction]));
  const byToken = new Map(links.map((link) => [link.token, link]));
  const below = Map.groupBy(links, ({ parent }) => (parent !== undefined && byToken.has(parent) ? parent : undefined));
  const lines: string[] = [];
  const draw = (link: LinkView, indent: string, last: boolean) => {
    const inner = below.get(link.token) ?? [];
    const rest = `${indent}${last ? '   ' : '│  '}`;
    const parts = partsOf(link, link.parent === undefined ? undefined : byToken.get(link.parent), concerning);
    for (const [at, part] of parts.entries()) {
      const continued = `${rest}${inner.length > 0 ? '│  ' : '   '}`;
      lines.push(...layOut(part, at === 0 ? `${indent}${last ? '└─ ' : '├─ '}` : continued, continued, settings));
    }
    for (const [at, each] of inner.entries()) draw(each, rest, at === inner.length - 1);
  };
  for (const [operator, roots] of Map.groupBy(below.get(undefined) ?? [], (link) => link.operator)) {
    lines.push(...layOut([{ style: 'plain', text: `operator ${shownName(operator)}` }], '', GAP, settings));
    for (const [at, root] of roots.entries()) draw(root, '', at === roots.length - 1);
  }
  return lines.join('\n');
}

/** What stands on a line of its own where there is room. */
function partsOf(link: LinkView, above: LinkView | undefined, concerning: ReadonlyMap<string, ConcerningView>): Part[][] {
  const { state, matches, expires, lastSeen, details } = link;
  const fine = state === 'live' || state === 'narrowed';
  const plain: TreeStyle = fine ? 'plain' : 'dim';
  const grant = grantWords(details, above?.details);
  return [
    [
      ...namesOf(link, above).map((text): Part => ({ style: matches ? 'strong' : plain, text })),
      ...(state === 'live' ? [] : [{ style: STYLES[state], text: state.toUpperCase() }]),
      { style: plain, text: `until ${shownTime(expires)}` },
      { style: 'dim', text: `seen ${shownTime(lastSeen)}` },
    ],
    ...(grant.length === 0 ? [] : [[{ style: plain, text: `may: ${grant.join('; ')}` }]]),
    ...[...(state === 'revoked' ? [link.revokedBy ?? ''] : []), ...narrowedHere(link, above)].map((id): Part[] => [
      { style: state === 'revoked' ? 'bad' : 'warn', text: restrictionWords(concerning.get(id), state) },
    ]),
    [{ style: 'dim', text: `token ${shownName(link.jti)}` }],
  ];
}

const STYLES = { narrowed: 'warn', revoked: 'bad', fallen: 'bad', expired: 'dim' } as const;

/** What the link is: what it says that the one above it does not. */
function namesOf({ agent, sid, task, opensSession, setsTask, delegates }: LinkView, above: LinkView | undefined): string[] {
  const names = [
    ...(above === undefined || delegates ? [`agent ${shownName(agent)}`] : []),
    ...(opensSession ? [`session ${shownName(sid ?? '')}`] : []),
    ...(setsTask ? [`task ${shownName(task ?? '')}`] : []),
  ];
  return names.length > 0 ? names : ['another key'];
}

function narrowedHere({ narrowedBy }: LinkView, above: LinkView | undefined): string[] {
  return narrowedBy.filter((id) => above?.narrowedBy.includes(id) !== true);
}

export function restrictionWords(restriction: ConcerningView | undefined, state?: string): string {
  if (restriction === undefined) return `${state === 'revoked' ? 'revoked' : 'narrowed'} by a restriction that cannot be read`;
  const { id, effect, target, by, at, reason, details } = restriction;
  const [kind = '', value = ''] = Object.entries(target)[0] ?? [];
  return [
    `${effect === 'revoke' ? 'revoked' : 'narrowed'} ${shownTime(at)} as ${kind} ${shownName(value)}`,
    ...(details === undefined ? [] : [`to: ${grantWords(details).join('; ')}`]),
    `by ${shownName(by)}`,
    ...(reason === '' ? [] : [`"${shownSentence(reason)}"`]),
    `restriction ${shownName(id)}`,
  ].join(', ');
}

/** Parts side by side while they fit, words broken only where one is longer than a line. */
function layOut(parts: readonly Part[], first: string, further: string, { width, paint }: DrawSettings): string[] {
  const room = Math.max(LEAST_COLUMNS, width - further.length);
  const rows: { text: string; painted: string }[] = [{ text: '', painted: '' }];
  const put = (style: TreeStyle, word: string, gap: string) => {
    const row = rows.at(-1);
    if (row === undefined) return;
    if (row.text === '' || row.text.length + gap.length + word.length <= room) {
      const before = row.text === '' ? '' : gap;
      row.text += before + word;
      row.painted += before + paint(style, word);
    } else rows.push({ text: word, painted: paint(style, word) });
  };
  for (const { style, text } of parts) {
    // A whole part where it fits; else its words, and of a word that is too long its pieces.
    const words = text.length <= room ? [text] : text.split(' ').flatMap((word) => piecesOf(word, room));
    for (const [at, word] of words.entries()) put(style, word, at === 0 ? GAP : ' ');
  }
  return rows.map(({ painted }, at) => `${at === 0 ? first : further}${painted}`);
}

function piecesOf(word: string, length: number): string[] {
  if (word.length <= length) return [word];
  return Array.from({ length: Math.ceil(word.length / length) }, (_, at) => word.slice(at * length, (at + 1) * length));
}
