// `serve`, `up`, `envoy` and `config check`: the commands that need a configuration file.

import { type Command, Option } from 'commander';
import { pino } from 'pino';
import { stringify } from 'yaml';
import { loadProviders } from '../checks/capability/provider-registry.ts';
import { ConfigurationError, type LoadedConfiguration, loadConfiguration, type SignConfiguration } from '../config.ts';
import { readEventParties } from '../serve/event-parties.ts';
import { readRedisSecrets } from '../serve/redis.ts';
import { readCa } from '../serve/resolution.ts';
import { readSecret, SecretError } from '../serve/secret.ts';
import { startService } from '../serve/serve.ts';
import { readDirectoryKey } from '../serve/start-control.ts';
import { readCredentials, sidecarEnvoy } from '../serve/start-sign.ts';
import { assertVerify, prepareGatewayEnvoy } from '../serve/start-verify.ts';
import { startPair } from '../serve/up.ts';
import { CommandError, fail, type OutputOptions, print, UsageError } from './output.ts';

interface RunOptions extends OutputOptions {
  config?: string;
}

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
    .action(envoy);
  const config = program
    .command('config')
    .summary('look at a configuration')
    .description('Looks at a configuration without running it.');
  withConfig(config.command('check'))
    .summary('say what is wrong with a configuration')
    .description(
      'Checks the configuration, the keys and capabilities it names included, and prints every problem. Exits 1 when there is one.',
    )
    .addHelpText('after', `${CONFIG_HELP}\n\nExample:\n  hermesbridge config check --config gateway.yaml`)
    .action(check);
}

function withConfig(command: Command): Command {
  return command
    .option('-c, --config <file>', 'configuration file', process.env.HERMESBRIDGE_CONFIG)
    .option('--json', 'print JSON');
}

async function load({ config }: RunOptions): Promise<LoadedConfiguration> {
  if (config === undefined) throw new UsageError('name the configuration with --config FILE or HERMESBRIDGE_CONFIG');
  return loadConfiguration(config);
}

function logger({ configuration }: LoadedConfiguration) {
  return pino(
    { level: configuration.log.level, base: null, redact: ['*.authorization', '*.key'] },
    pino.destination({ dest: 2, sync: false, minLength: 0 }),
  );
}

async function serve(options: RunOptions): Promise<void> {
  const loaded = await load(options);
  const log = logger(loaded);
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
  const loaded = await load(options);
  const log = logger(loaded);
  const ended = Promise.withResolvers<Error>();
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

async function envoy(options: RunOptions & { role?: 'verify' | 'sign' }): Promise<void> {
  const { configuration } = await load(options);
  const role = options.role ?? (configuration.verify ? 'verify' : 'sign');
  const silent = pino({ level: 'silent' });
  const verify = role === 'verify' ? configuration.verify : undefined;
  const sign = role === 'sign' ? configuration.sign : undefined;
  if (verify === undefined && sign === undefined) throw new CommandError(`the configuration has no role "${role}"`);
  const prepared = verify
    ? await prepareGatewayEnvoy(verify, await loadProviders(), silent)
    : { bootstrap: sidecarEnvoy(sign as SignConfiguration), close: async () => {} };
  await prepared.close();
  print(options, prepared.bootstrap, stringify(prepared.bootstrap, { aliasDuplicateObjects: false }).trimEnd());
}

async function check(options: RunOptions): Promise<void> {
  const { file, configuration } = await load(options);
  const { verify, sign, control } = configuration;
  const looks: (() => unknown)[] = [];
  if (verify) {
    looks.push(async () => assertVerify(verify, await loadProviders()));
    for (const [name, { credential }] of Object.entries(verify.providers))
      looks.push(() => readSecret(credential, `verify.providers.${name}.credential`, true));
    const { redis } = verify;
    if (redis !== undefined) looks.push(() => readRedisSecrets(redis, 'verify.redis'));
    const { trustedCa } = verify.resolution;
    if (trustedCa !== undefined) looks.push(() => readCa(trustedCa));
  }
  if (sign)
    looks.push(
      () => readCredentials(sign),
      () => readSecret(sign.localSecret, 'sign.localSecret'),
    );
  if (control) {
    const { events } = control;
    looks.push(() => readDirectoryKey(control));
    if (events) looks.push(() => readEventParties(events, () => undefined));
    for (const [name, path] of Object.entries(control.service.tls ?? {}))
      looks.push(() => readSecret({ file: path }, `control.service.tls.${name}`, name === 'certificate'));
  }
  const problems: string[] = [];
  for (const look of looks) {
    try {
      await look();
    } catch (error) {
      if (error instanceof ConfigurationError) problems.push(...error.problems);
      else if (error instanceof SecretError) problems.push(error.message);
      else throw error;
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  print(options, { file, valid: true }, `${file}: no problems`);
}

/** Nothing may end the process but a signal: what nobody caught is logged, and the check it belonged to is denied by its deadline. */
export function surviveUncaught(): void {
  // Whoever reads our output may stop reading (`| head`); that is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => error.code === 'EPIPE' || fail(error));
  // To say so on standard error again, and again, would keep a program busy that nobody listens to.
  process.stderr.on('error', () => {});
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', (error) => fail(error));
}
