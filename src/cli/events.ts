// `events`: tries a receiver of security events out, with an event that says nothing of anyone (SSF 1.0 section 8.1.4).

import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { loadConfiguration } from '../config.ts';
import { VERIFICATION } from '../events/event-types.ts';
import { readDirectoryKey } from '../serve/directory-key.ts';
import { CommandError, type OutputOptions, print, UsageError } from './output.ts';

interface SendOptions extends OutputOptions {
  config?: string;
  receiver: string;
}

export function addEventCommands(program: Command): void {
  const events = program
    .command('events')
    .summary('try security events out')
    .description('Looks after the receivers of security events that a configuration names (control.events).')
    .addHelpText('after', '\nExample:\n  hermesbridge events send-test --config vault.yaml --receiver siem');
  events
    .command('send-test')
    .summary('send a receiver a verification event')
    .description(
      'Sends one verification event, signed with control.key, the way restrictions are told, and says what the receiver answered. The service may be running. Exits with 1 unless the answer is 202.',
    )
    .option('-c, --config <file>', 'configuration file', process.env.HERMESBRIDGE_CONFIG)
    .requiredOption('--receiver <name>', 'its name in control.events.receivers')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  hermesbridge events send-test --config vault.yaml --receiver siem')
    .action(sendTest);
}

async function sendTest({ config, receiver: name, ...output }: SendOptions): Promise<void> {
  if (config === undefined) throw new UsageError('name the configuration with --config FILE or HERMESBRIDGE_CONFIG');
  const { control } = (await loadConfiguration(config)).configuration;
  const wanted = control?.events?.receivers.find((one) => one.name === name);
  if (control?.events === undefined || wanted === undefined)
    throw new CommandError(`${config} has no receiver "${name}" in control.events.receivers`);
  const { events } = control;
  const key = await readDirectoryKey(control);
  if (key === undefined) throw new CommandError('control.key is missing');
  const { readEventParties } = await import('../serve/event-parties.ts');
  const { signEvent } = await import('../events/sign-event.ts');
  const { receivers } = await readEventParties({ ...events, receivers: [wanted], transmitters: [] }, () => undefined);
  const state = randomBytes(16).toString('base64url');
  const event = { type: VERIFICATION, subject: { format: 'opaque', id: name }, payload: { state } };
  const jti = randomBytes(16).toString('base64url');
  const addressed = { audience: wanted.audience, jti, iat: Math.floor(Date.now() / 1000) };
  const compact = await signEvent(event, addressed, { key, issuer: events.issuer ?? control.origin });
  const posted = await receivers[0]?.push(compact);
  if (posted?.status !== 202)
    throw new CommandError(`${wanted.url} answered ${posted?.status} where 202 is needed: ${shown(posted?.body)}`);
  print(output, { receiver: name, jti, state, accepted: true }, `${wanted.url} accepted the event ${jti}`);
}

/** A stranger's text on a terminal. */
function shown(body: Buffer | undefined): string {
  const text = body?.toString().replace(/[^\x20-\x7e]/g, '?');
  return text?.slice(0, 300) || 'it says nothing';
}
