// `operator`: an operator's own DID, from its first key to the recovery of a lost one.

import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { ALGORITHMS, type Algorithm } from '../crypto/public-key.ts';
import { dateTime, type PublishedKey } from '../operator/did-state.ts';
import { initOperator } from '../operator/init-operator.ts';
import { publishOperator } from '../operator/publish-operator.ts';
import { recoverOperator } from '../operator/recover-operator.ts';
import { rotateOperator } from '../operator/rotate-operator.ts';
import { showOperator } from '../operator/show-operator.ts';
import { durationOrNone } from './grant-options.ts';
import { addHomeOptions, fileOption, type HomeOptions, operatorTools } from './home-options.ts';
import { print } from './output.ts';

const EXAMPLE_VAULT = 'https://vault.example';
const NEW_KEY_ALGORITHMS = ALGORITHMS.filter((algorithm) => algorithm !== 'PS512');

export function addOperatorCommands(program: Command): void {
  const operator = program
    .command('operator')
    .summary('make, publish, rotate and recover an operator')
    .description('An operator owns agents: it registers them in a vault, says what they may do, and signs that with its own key.')
    .addHelpText('after', '\nExample:\n  hermesbridge operator init --name acme --vault https://vault.example');
  addHomeOptions(operator.command('init'))
    .summary('make an operator: its DID, its signing key and its recovery key')
    .description('Makes the keys and the DID of an operator, in a folder that only you can enter. Nothing is published yet.')
    .requiredOption('--name <name>', 'name of the operator in the vault: a-z, 0-9 and "-"')
    .requiredOption('--vault <origin>', 'the vault that will serve its DIDs, https://HOST[:PORT]')
    .addOption(algorithmOption('algorithm of the signing key').default('Ed25519'))
    .option('--force', 'where there is an operator already, set it aside and make another')
    .addHelpText('after', `\nExample:\n  hermesbridge operator init --name acme --vault ${EXAMPLE_VAULT}`)
    .action(init);
  addHomeOptions(operator.command('publish'))
    .summary('register the operator in its vault')
    .description(
      "Registers the operator's DID in the vault, which must name it in control.operators. Once is enough; again changes nothing.",
    )
    .addHelpText('after', '\nExample:\n  hermesbridge operator publish --home /secure/acme')
    .action(publish);
  addHomeOptions(operator.command('show'))
    .summary('show the operator and its keys')
    .description('Shows the operator of the home, the keys in its document, and whether the vault has all of its log.')
    .addHelpText('after', '\nExample:\n  hermesbridge operator show --json')
    .action(show);
  addHomeOptions(operator.command('rotate'))
    .summary('replace the signing key')
    .description(
      "Publishes a new signing key. The old one holds until the overlap ends; roots that it signed fall then. Every agent's capability that this home issued is issued again under the new key.",
    )
    .addOption(
      new Option('--overlap <duration>', 'how long the old key still holds; 0s ends it at once')
        .argParser(durationOrNone)
        .default(durationOrNone('15m'), '15m'),
    )
    .addOption(algorithmOption('algorithm of the new key; that of the old one by default'))
    .addHelpText('after', '\nExample:\n  hermesbridge operator rotate --overlap 15m')
    .action(rotate);
  addHomeOptions(operator.command('recover'))
    .summary('replace a lost signing key, and rebuild the home from the vault')
    .description(
      "For a signing key, or a whole disk, that is lost. Fetches the operator's log from the vault, verifies it, and replaces the signing key by an entry that the recovery key signs. The agents' keys and grants are in no vault: `agent renew` or `agent rotate` asks for what is missing.",
    )
    .requiredOption('--recovery-key <file>', 'the backup of recovery.key')
    .requiredOption('--did <did>', "the operator's DID")
    .addOption(
      new Option(
        '--overlap <duration>',
        'how long the lost key still holds, where it cannot be in the wrong hands: roots that it signed hold as long',
      )
        .argParser(durationOrNone)
        .default(0, 'not at all'),
    )
    .addOption(algorithmOption('algorithm of the new key').default('Ed25519'))
    .option('--force', 'where the home holds another operator, set it aside')
    .addHelpText(
      'after',
      `\nExample:\n  hermesbridge operator recover --recovery-key /media/backup/recovery.key \\\n    --did did:webvh:Qm…:vault.example:operators:acme`,
    )
    .action(recover);
}

export function algorithmOption(description: string): Option {
  return new Option('--algorithm <algorithm>', description).choices(NEW_KEY_ALGORITHMS);
}

async function init(
  options: HomeOptions & { name: string; vault: string; algorithm: Algorithm; force?: boolean },
): Promise<void> {
  const tools = operatorTools(options);
  const { name, vault, algorithm, force = false } = options;
  const made = await initOperator({ name, vault, vaultCa: fileOption(options.vaultCa), algorithm, force }, tools);
  const { directory, recoveryKey } = tools.files;
  const configuration = {
    control: { operators: [made.did] },
    verify: { trust: { operators: [{ did: made.did }] } },
  };
  const text = [
    `operator      ${made.did}`,
    `home          ${directory}`,
    '',
    `Back up ${recoveryKey} now: once, offline. It never changes, and with it every key of this operator and of its agents`,
    'can be replaced, those of agents that are registered later too. Without it no key of theirs can ever be replaced, added or',
    'ended, and who steals it can replace them all.',
    '',
    "Then name the operator where it is to be believed (`control` is the vault's configuration, `verify` that of each gateway):",
    '',
    stringify(configuration, { lineWidth: 0 }).trimEnd(),
    '',
    'and publish it: hermesbridge operator publish',
  ];
  print(options, { ...made, home: directory, backUp: recoveryKey, configuration }, text.join('\n'));
}

async function publish(options: HomeOptions): Promise<void> {
  const { did, versionId, published } = await publishOperator(operatorTools(options));
  print(
    options,
    { did, versionId, published },
    `${did}\n${published ? 'published' : 'was published already'}, version ${versionId}`,
  );
}

async function show(options: HomeOptions): Promise<void> {
  const tools = operatorTools(options);
  const shown = await showOperator(tools);
  const { keys, unpublished, agents } = shown;
  const text = [
    `operator   ${shown.did}`,
    `name       ${shown.name}`,
    `vault      ${shown.vault}`,
    `home       ${tools.files.directory}`,
    `version    ${shown.versionId}${unpublished > 0 ? ` (${unpublished} not in the vault yet: hermesbridge operator publish)` : ''}`,
    `agents     ${agents} in this home`,
    ...keys.flatMap(keyLines),
  ];
  print(options, { ...shown, home: tools.files.directory, keys: keys.map(keyView) }, text.join('\n'));
}

async function rotate(options: HomeOptions & { overlap: number; algorithm?: Algorithm }): Promise<void> {
  const rotation = await rotateOperator(
    { overlapSeconds: options.overlap, algorithm: options.algorithm },
    operatorTools(options),
  );
  const { did, versionId, key, old, reissued, left } = rotation;
  const text = [
    `operator   ${did}`,
    `version    ${versionId}`,
    `new key    ${key.id}`,
    ...oldKeyLines(old),
    `reissued   ${reissued.length === 0 ? 'nothing: this home has issued no capability' : reissued.join(', ')}`,
    ...left.map(({ agent, why }) => `NOT REISSUED  ${agent}: ${why}`),
    ...(reissued.length > 0 ? ['', REISSUED_HELP] : []),
  ];
  print(options, { did, versionId, key: keyView(key), old: old.map(keyView), reissued, left }, text.join('\n'));
}

const REISSUED_HELP =
  'Roots that the old key signed fall when it ends. A sidecar takes up the new capability by itself where it reads the file that was\nwritten here; carry it to those that do not before then.';

async function recover(
  options: HomeOptions & { recoveryKey: string; did: string; overlap: number; algorithm: Algorithm; force?: boolean },
): Promise<void> {
  const { recoveryKey, did, overlap, algorithm, force = false } = options;
  const recovery = await recoverOperator(
    { did, recoveryKey, algorithm, overlapSeconds: overlap, vaultCa: fileOption(options.vaultCa), force },
    operatorTools(options),
  );
  const { versionId, key, old, agents } = recovery;
  const text = [
    `operator   ${did}`,
    `version    ${versionId}`,
    `new key    ${key.id}`,
    ...(old.length === 0 ? ['the lost key holds no more, and no root that it signed'] : oldKeyLines(old)),
    `agents     ${agents.length === 0 ? 'none' : agents.join(', ')}`,
    ...(agents.length > 0 ? ['', RECOVERED_HELP] : []),
  ];
  print(options, { did, versionId, key: keyView(key), old: old.map(keyView), agents }, text.join('\n'));
}

const RECOVERED_HELP =
  'What each agent may do is not in the vault: say it again, with --audience and the grant options.\n' +
  '  hermesbridge agent renew NAME --audience …    for an agent that still has its key\n' +
  '  hermesbridge agent rotate NAME --audience …   for one whose key is lost too';

function oldKeyLines(old: readonly PublishedKey[]): string[] {
  return old.map(({ id, expires }) => `old key    ${id}${expires === undefined ? '' : `, holds until ${dateTime(expires)}`}`);
}

export function keyLines({ id, key, purposes, expires }: PublishedKey): string[] {
  return [
    `key        ${id}`,
    `           ${key ? `${key.algorithms.join(' or ')}, thumbprint ${key.jkt}` : 'not a key that is accepted'}`,
    `           for ${purposes.join(' and ') || 'nothing'}${expires === undefined ? '' : `, until ${dateTime(expires)}`}`,
  ];
}

export function keyView({ id, key, purposes, expires }: PublishedKey) {
  return {
    id,
    thumbprint: key?.jkt ?? null,
    algorithms: key?.algorithms ?? [],
    purposes,
    ...(expires !== undefined && { expires: dateTime(expires) }),
  };
}
