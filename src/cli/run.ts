// `serve` and `up`; `envoy` and `config check`, which need a configuration file too, are told of here and done elsewhere.

import { type Command, Option } from 'commander';
import { pino } from 'pino';
import type { LoadedConfiguration } from '../config.ts';
import type { EnvoyOptions } from './envoy.ts';
import { print } from './output.ts';
import { loadNamed, type RunOptions } from './run-options.ts';

const CONFIG_HELP = '\nThe file is named by --config or HERMESBRIDGE_CONFIG; docs/configuration.md has every key.';

export function addRunCommands(program: Command): void {
  withConfig(program.command('serve'))
    .summary('run the service; Envoy is run by someone else')
    .description(
      'Runs the roles of the configuration in the foreground. SIGHUP reloads the configuration, SIGTERM drains and stops.',
    )
    .addHelpText('after', `${CONFIG_HELP}\n\nExample:\n  hermesbridge serve --config gateway.yaml`)
    .action(serve);
  withConfig(program.command('up'))
    .summary('run the service and its Envoy together')
    .description(
      'Runs the roles of the configuration and an Envoy for each, prints the URLs when they are ready, and stops all on a signal.',
    )
    .addHelpText('after', `${CONFIG_HELP}\n\nExample:\n  hermesbridge up --config gateway.yaml`)
    .action(up);
  withConfig(program.command('envoy'))
    .summary('print the Envoy bootstrap that belongs to a configuration')
    .description(
      'Prints the bootstrap of a role as YAML, for an Envoy that someone else runs beside `serve`. The provider credentials that it refers to are written to the run directory; only `up` keeps them up to date.',
    )
    .addOption(new Option('--role <role>', 'which role, where the configuration has both').choices(['verify', 'sign']))
    .addHelpText(
      'after',
      `${CONFIG_HELP}\n\nExample:\n  hermesbridge envoy --config gateway.yaml > envoy.yaml && envoy --config-path envoy.yaml`,
    )
    .action(async (options: EnvoyOptions) => (await import('./envoy.ts')).printBootstrap(options));
  const config = program
    .command('config')
    .summary('look at a configuration')
    .description('Looks at a configuration without running it.')
    .addHelpText('after', '\nExample:\n  hermesbridge config check --config gateway.yaml');
  withConfig(config.command('check'))
    .summary('say what is wrong with a configuration')
    .description(
      'Checks the configuration, the keys and capabilities it names included, and prints every problem. Exits 1 when there is one.',
    )
    .addHelpText('after', `${CONFIG_HELP}\n\nExample:\n  hermesbridge config check --config gateway.yaml`)
    .action(async (options: RunOptions) => (await import('./config-check.ts')).checkConfiguration(options));
}

function withConfig(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file', process.env.HERMESBRIDGE_CONFIG)
    .option('--json', 'print JSON');
}

function logger({ configuration }: LoadedConfiguration) {
  return pino(
    { level: configuration.log.level, base: null, redact: ['*.authorization', '*.key'] },
    pino.destination({ dest: 2, sync: false, minLength: 0 }),
  );
}

async function serve(options: RunOptions): Promise<void> {
  const loaded = await loadNamed(options);
  const log = logger(loaded);
  const { startService } = await import('../serve/serve.ts');
  const service = await startService(loaded.file, loaded.configuration, { log, clock: Date.now });
  // Before it says that it is ready: whoever waits for that may signal at once.
  const stopped = untilStopped(() => service.reload(), log);
  const addresses = service.roles.map(({ role, address }) => ({ role, address }));
  print(options, { ready: true, addresses }, addresses.map(({ role, address }) => `${role}  ${address}`).join('\n'));
  await stopped;
  await service.stop();
  end(log);
}

async function up(options: RunOptions): Promise<void> {
  const loaded = await loadNamed(options);
  const log = logger(loaded);
  const ended = Promise.withResolvers<Error>();
  const { startPair } = await import('../serve/up.ts');
  const pair = await startPair(loaded.file, loaded.configuration, {
    log,
    clock: Date.now,
    onProgress: (line) => process.stderr.write(`${line}\n`),
    onExit: (error) => ended.resolve(error),
  });
  const stopped = untilStopped(() => pair.reload(), log);
  print(
    options,
    { ready: true, urls: pair.urls },
    Object.entries(pair.urls)
      .map(([role, url]) => `${role}  ${url}`)
      .join('\n'),
  );
  const error = await Promise.race([stopped, ended.promise]);
  await pair.stop();
  if (error instanceof Error) throw error;
  end(log);
}

/** A peer that never hangs up (a health Watch) holds a connection open, and with it the program. */
function end(log: ReturnType<typeof logger>): void {
  log.flush(() => process.exit());
}

/** Resolves on SIGINT or SIGTERM. A second signal ends the program at once. */
function untilStopped(reload: () => Promise<void>, log: ReturnType<typeof logger>): Promise<void> {
  process.on('SIGHUP', () => {
    reload().then(
      () => log.info('configuration reloaded'),
      (error: unknown) => log.error({ err: error }, 'configuration not reloaded: the old one stays in force'),
    );
  });
  return new Promise((resolve) => {
    let stopping = false;
    const stop = () => {
      if (stopping) process.exit(130);
      stopping = true;
      resolve();
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
    // Started by a program with a channel to it: when that program is gone, nobody is left to send a signal.
    process.on('disconnect', stop);
    process.channel?.unref();
    // Undefined without a channel; false when the other side went while we were starting.
    if (process.connected === false) stop();
  });
}
