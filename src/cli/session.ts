// `session`: sessions as gateways saw them, narrowed and ended.

import { type Command, InvalidArgumentError } from 'commander';
import type { LinkView, SessionItem } from '../sightings/views.ts';
import { drawTree, restrictionWords } from './draw-tree.ts';
import { addGrantOptions, count, readDetails, saysGrant } from './grant-options.ts';
import { CommandError, print, UsageError } from './output.ts';
import { addRestrictionOptions, type NarrowOptions, type RestrictOptions, restrict } from './restrict.ts';
import { shownName, shownTime } from './shown-text.ts';
import { addSightingPlaceOptions, openSightingPlace, type SightingPlaceOptions } from './sighting-place.ts';
import { limit, terminal } from './tree.ts';

interface ListOptions extends SightingPlaceOptions {
  agent?: string;
  operator?: string;
  all?: boolean;
  limit: number;
  cursor?: string;
}

const SEEN =
  'Nobody registers a session: sidecars open them offline, and what is shown is what gateways saw. A vault shows an operator its own, and an administrator all.';

export function addSessionCommands(program: Command): void {
  const session = program
    .command('session')
    .summary('list, show, narrow and end sessions')
    .description(SEEN)
    .addHelpText('after', '\nExample:\n  hermesbridge session list');
  addSightingPlaceOptions(session.command('list'))
    .summary('list the sessions in force')
    .description(`Lists sessions, those that end last first. ${SEEN}`)
    .option('--agent <did>', 'only those that this agent opened')
    .option('--operator <did>', 'only those under this operator')
    .option('--all', 'those that have expired or are revoked, too')
    .option('--limit <n>', 'most sessions, 1 to 200', page, 50)
    .option('--cursor <next>', '`next` of the page before')
    .addHelpText('after', '\nExample:\n  hermesbridge session list --store run/hermesbridge.db')
    .action(list);
  addSightingPlaceOptions(session.command('show'))
    .summary('show a session, and what is above and below it')
    .description(
      'Shows the links above and below a session, its tasks and delegations, and the restrictions in force over them. An agent names its sessions itself, so that two may have one id; a restriction is about both.',
    )
    .argument('<sid>', 'the session')
    .option('--limit <n>', 'most links', limit, 200)
    .addHelpText('after', '\nExample:\n  hermesbridge session show Xk3vQ… --json\n\nExits with 1 when it was not seen.')
    .action(show);
  addGrantOptions(addRestrictionOptions(session.command('narrow')))
    .summary('let a session do less, until that is lifted')
    .description(
      'As `narrow session`: signs a narrowing and puts it in force, for the session and everything below it. A request must name a model that --model covers, so list what stays allowed.',
    )
    .argument('<sid>', 'the session; it need not have been seen')
    .addHelpText(
      'after',
      "\nExample:\n  hermesbridge session narrow Xk3vQ… --model 'openai/gpt-5-nano' --reason 'too dear' --wait\n\n`hermesbridge narrow --lift` ends it. Exits with 1 when it is not taken, or when --wait finds a gateway without it.",
    )
    .action(narrow);
  addRestrictionOptions(session.command('end'))
    .summary('end a session for good')
    .description(
      'As `revoke session`: signs a revocation and puts it in force, for the session and everything below it. It is for good.',
    )
    .argument('<sid>', 'the session; it need not have been seen')
    .addHelpText(
      'after',
      "\nExample:\n  hermesbridge session end Xk3vQ… --reason 'task is done' --wait\n\nThe sidecar opens another one with the agent’s own key when it is due, or when it is restarted: to stop the agent, revoke that. Exits with 1 when it is not taken, or when --wait finds a gateway without it.",
    )
    .action((sid: string, options: RestrictOptions) => restrict(options, { effect: 'revoke' }, 'session', sid));
}

async function list(options: ListOptions): Promise<void> {
  const place = await openSightingPlace(options);
  try {
    const { agent, operator, all, limit: most, cursor } = options;
    const found = await place.sessions({
      ...(agent !== undefined && { agent }),
      ...(operator !== undefined && { operator }),
      ...(all && { all }),
      limit: most,
      ...(cursor !== undefined && { cursor }),
    });
    if (found.next !== undefined) process.stderr.write(`there may be more: --cursor ${shownName(found.next)}\n`);
    const none = `no session ${all ? 'was seen' : 'in force was seen: --all shows those that have ended'}`;
    print(options, found, found.items.map(lineOf).join('\n') || none);
  } finally {
    place.close();
  }
}

function lineOf({ sid, agent, issued, expires, lastSeen, tasks, delegations, state }: SessionItem): string {
  return [
    shownName(sid),
    state,
    shownName(agent),
    `since ${shownTime(issued)}`,
    `until ${shownTime(expires)}`,
    `seen ${shownTime(lastSeen)}`,
    ...(tasks > 0 ? [`tasks ${tasks}`] : []),
    ...(delegations > 0 ? [`delegations ${delegations}`] : []),
  ].join('  ');
}

async function show(sid: string, options: SightingPlaceOptions & { limit: number }): Promise<void> {
  const place = await openSightingPlace(options);
  try {
    const { asOf, links, restrictions, truncated } = await place.tree({
      kind: 'session',
      id: sid,
      depth: 5,
      limit: options.limit,
    });
    const sessions = links.filter(({ sid: its, opensSession }) => its === sid && opensSession);
    if (sessions.length === 0)
      throw new CommandError('no such session was seen, or is kept: see `hermesbridge session list --all`');
    if (truncated) process.stderr.write(`there is more than is shown: see --limit\n`);
    const text = [
      ...sessions.flatMap(linesOf),
      '',
      drawTree({ links, restrictions }, terminal()),
      ...(restrictions.length === 0
        ? ['', 'no restriction is in force over it']
        : ['', ...restrictions.map((each) => restrictionWords(each))]),
    ];
    print(options, { sid, asOf, sessions, links, restrictions, truncated }, text.join('\n'));
  } finally {
    place.close();
  }
}

function linesOf({ sid = '', state, agent, operator, issued, expires, firstSeen, lastSeen, gateway, jkt }: LinkView): string[] {
  return [
    `session    ${shownName(sid)}`,
    `state      ${state}`,
    `agent      ${shownName(agent)}`,
    `operator   ${shownName(operator)}`,
    `key        ${shownName(jkt)}`,
    `from       ${shownTime(issued)} until ${shownTime(expires)}`,
    `seen       ${shownTime(firstSeen)} to ${shownTime(lastSeen)}, last by ${shownName(gateway)}`,
  ];
}

async function narrow(sid: string, options: NarrowOptions): Promise<void> {
  if (!saysGrant(options)) throw new UsageError('say what stays allowed, with --action, --model … or --details FILE');
  await restrict(options, { effect: 'narrow', details: await readDetails(options) }, 'session', sid);
}

function page(text: string): number {
  const most = count(text);
  if (most < 1 || most > 200) throw new InvalidArgumentError('must be a whole number from 1 to 200');
  return most;
}
