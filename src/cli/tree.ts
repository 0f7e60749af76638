// `tree`: who gave what to whom, until when, and what became of it.

import { styleText } from 'node:util';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { findAgentFile, homeFiles } from '../operator/home.ts';
import { TREE_KINDS, type TreeKind } from '../sightings/sighting-reader.ts';
import type { TreeView } from '../sightings/views.ts';
import { type DrawSettings, drawTree, type TreeStyle } from './draw-tree.ts';
import { count } from './grant-options.ts';
import { CommandError, print } from './output.ts';
import { addSightingPlaceOptions, openSightingPlace, type SightingPlaceOptions } from './sighting-place.ts';

interface TreeOptions extends SightingPlaceOptions {
  kind?: TreeKind;
  live?: boolean;
  depth: number;
  limit: number;
}

const NAME = /^[a-z0-9-]+$/;

export function addTreeCommand(program: Command): void {
  addSightingPlaceOptions(program.command('tree'))
    .summary('draw who gave what to whom, as gateways saw it')
    .description(
      'Draws every link seen above and below something: what each may do that differs from the one above it, until when, and what is revoked, narrowed or expired, by whom and why. Sidecars mint links offline: what no gateway saw is not here.',
    )
    .argument('<id>', "DID (of an agent also its name in the home), session, task, token's jti or key thumbprint")
    .addOption(new Option('--kind <kind>', 'what the id is, where it could be several things').choices(TREE_KINDS))
    .option('--live', 'only what is in force')
    .option('--depth <n>', 'how deep below the root to go, 0 to 5', depth, 5)
    .option('--limit <n>', 'most links', limit, 200)
    .addHelpText(
      'after',
      '\nExample:\n  hermesbridge tree did:webvh:…:agents:acme:orchestrator --live\n\nExits with 1 when nothing was seen of it.',
    )
    .action(show);
}

async function show(id: string, options: TreeOptions): Promise<void> {
  const place = await openSightingPlace(options);
  try {
    const trees: TreeView[] = [];
    for (const [kind, value] of await meaningsOf(id, options)) {
      const tree = await place.tree({ kind, id: value, live: options.live === true, depth: options.depth, limit: options.limit });
      if (tree.links.length > 0) trees.push(tree);
    }
    if (trees.length === 0)
      throw new CommandError(
        `nothing ${options.live ? 'in force ' : ''}was seen of it: an id is an agent's or operator's DID, a session, a task, a jti or a key thumbprint, and links are kept for as long as verify.sightings says`,
      );
    if (trees.some(({ truncated }) => truncated))
      process.stderr.write(`there is more than is shown: see --limit, --depth and --live\n`);
    print(options, { id, trees }, trees.map((tree) => drawTree(tree, terminal())).join('\n\n'));
  } finally {
    place.close();
  }
}

/** An agent chooses the ids of its tokens, sessions and tasks: what could be several things is shown as each of them. */
async function meaningsOf(id: string, { kind, home }: TreeOptions): Promise<[TreeKind, string][]> {
  const agent = NAME.test(id) ? (await findAgentFile(homeFiles(home).agent(id)))?.did : undefined;
  const all: [TreeKind, string][] = id.startsWith('did:')
    ? [
        ['operator', id],
        ['agent', id],
      ]
    : [
        ...(agent === undefined ? [] : [['agent', agent] satisfies [TreeKind, string]]),
        ...(['session', 'task', 'token', 'key'] as const).map((each): [TreeKind, string] => [each, id]),
      ];
  return kind === undefined ? all : [[kind, kind === 'agent' ? (agent ?? id) : id]];
}

const STYLES: Readonly<Record<TreeStyle, Parameters<typeof styleText>[0]>> = {
  strong: 'bold',
  bad: 'red',
  warn: 'yellow',
  dim: 'dim',
  plain: 'reset',
};

/** As wide as the terminal, and in colours, where there is one. */
export function terminal(): DrawSettings {
  const { isTTY, columns } = process.stdout;
  return {
    width: isTTY && columns > 0 ? columns : Number.POSITIVE_INFINITY,
    paint: (style, text) => (style === 'plain' ? text : styleText(STYLES[style], text, { stream: process.stdout })),
  };
}

function depth(text: string): number {
  if (!/^[0-5]$/.test(text)) throw new InvalidArgumentError('must be a whole number from 0 to 5');
  return Number(text);
}

export function limit(text: string): number {
  const most = count(text);
  if (most < 1 || most > 1000) throw new InvalidArgumentError('must be a whole number from 1 to 1000');
  return most;
}
