// `agent list`, `agent show` and `agent history`: what the vault has of agents. Logs are verified here, not believed.

import { type Command, InvalidArgumentError } from 'commander';
import { dateTime, keysOf } from '../operator/did-state.ts';
import { inspectLog } from '../operator/inspect-log.ts';
import { listAgents } from '../operator/list-agents.ts';
import { historyOf, type VersionChange } from '../operator/log-history.ts';
import { addHomeOptions, type HomeOptions, operatorTools } from './home-options.ts';
import { keyLines, keyView } from './operator.ts';
import { print } from './output.ts';

export function addAgentViews(agent: Command): void {
  addHomeOptions(agent.command('list'))
    .summary('list the agents of an operator')
    .description('Lists what the vault has registered, in the order of registration.')
    .option('--operator <did>', 'of another operator of the vault; by default of this one')
    .option('--limit <n>', 'most agents to list', positive, 100)
    .addHelpText('after', '\nExample:\n  hermesbridge agent list --limit 20')
    .action(list);
  addHomeOptions(agent.command('show'))
    .summary('show an agent and its keys')
    .description('Shows the newest version of an agent, after verifying its whole log.')
    .argument('<agent>', 'its name, or a DID in the vault')
    .addHelpText('after', '\nExample:\n  hermesbridge agent show reader')
    .action(show);
  addHomeOptions(agent.command('history'))
    .summary('show what each version of an agent changed')
    .description('Shows every version of an agent: when it was made and what it changed. The log is verified here, not believed.')
    .argument('<agent>', 'its name, or a DID in the vault')
    .addHelpText('after', '\nExample:\n  hermesbridge agent history reader --json')
    .action(history);
}

async function list(options: HomeOptions & { operator?: string; limit: number }): Promise<void> {
  const { agents, more } = await listAgents({ operator: options.operator, limit: options.limit }, operatorTools(options));
  const text = agents.map(({ name, did, version, updated, deactivated }) =>
    [name, deactivated ? 'deactivated' : `version ${version}`, updated, did].join('  '),
  );
  if (more) process.stderr.write(`there are more than ${options.limit}: see --limit\n`);
  print(options, { agents, more }, text.join('\n') || 'none');
}

async function show(named: string, options: HomeOptions): Promise<void> {
  const { log, lines, agent, published } = await inspectLog(named, operatorTools(options));
  const { did, deactivated, versionId } = log;
  const keys = keysOf(log.state);
  const controller = [log.state.controller ?? []].flat().map(String);
  const times = { created: dateTime(log.created), updated: dateTime(log.versionTime) };
  const unpublished = lines.length - published;
  const files = agent && { directory: agent.directory, holdsKey: agent.holdsKey, grant: agent.grant ?? null };
  const text = [
    `agent      ${did}`,
    `status     ${deactivated ? 'deactivated' : 'active'}`,
    `operator   ${controller.join(' ')}`,
    `version    ${versionId}, of ${times.updated}; the first of ${times.created}`,
    ...(unpublished > 0
      ? [`           ${unpublished} of ${lines.length} not in the vault: hermesbridge agent renew gives it what it lacks`]
      : []),
    ...(files ? [`files      ${files.directory}`] : []),
    ...keys.flatMap(keyLines),
    'the log verifies',
  ];
  print(
    options,
    {
      did,
      deactivated,
      operator: controller,
      version: lines.length,
      versionId,
      ...times,
      unpublished,
      keys: keys.map(keyView),
      ...(files && { home: files }),
      verified: true,
    },
    text.join('\n'),
  );
}

async function history(named: string, options: HomeOptions): Promise<void> {
  const { log, lines } = await inspectLog(named, operatorTools(options));
  const versions = historyOf(lines);
  const text = versions.flatMap(({ versionId, time, changes }) => [
    `${time}  ${versionId}`,
    ...changes.map((change) => `  ${CHANGES[change.change]} ${detail(change)}`),
    ...(changes.length === 0 ? ['  nothing in the document'] : []),
  ]);
  print(
    options,
    {
      did: log.did,
      verified: true,
      versions: versions.map((version) => ({ ...version, changes: version.changes.map(changeView) })),
    },
    [
      log.did,
      ...text,
      `verified here: ${versions.length} ${versions.length === 1 ? 'version' : 'versions'}, each with its hash, its proof and its pre-rotated key`,
    ].join('\n'),
  );
}

const CHANGES: Readonly<Record<VersionChange['change'], string>> = {
  'key-added': 'key added    ',
  'key-expiring': 'key ends     ',
  'key-dropped': 'key dropped  ',
  'key-changed': 'key changed  ',
  controller: 'controller   ',
  moved: 'moved to     ',
  document: 'document of  ',
  deactivated: 'deactivated  ',
};

function detail({ what, thumbprint, expires }: VersionChange): string {
  return [
    what,
    thumbprint === undefined ? '' : `thumbprint ${thumbprint}`,
    expires === undefined ? '' : `until ${dateTime(expires)}`,
  ]
    .filter((part) => part !== '')
    .join('  ');
}

function changeView({ expires, ...change }: VersionChange) {
  return { ...change, ...(expires !== undefined && { expires: dateTime(expires) }) };
}

function positive(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('must be a whole number from 1');
  return Number(text);
}
