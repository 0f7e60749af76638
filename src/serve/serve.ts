// Starts the roles of a configuration, reloads them on SIGHUP, stops them in order. Only the code of those that are there is
// loaded: it is a good part of the time that a start takes.

import { type Configuration, ConfigurationError, loadConfiguration } from '../config.ts';
import type { RunningRole } from './running-role.ts';
import type { StartSettings } from './start-verify.ts';

export interface RunningService {
  readonly roles: readonly RunningRole[];
  /** Reads the file again. A bad one is refused as a whole: every role keeps what it has. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

export async function startService(file: string, configuration: Configuration, settings: StartSettings): Promise<RunningService> {
  const roles: RunningRole[] = [];
  try {
    // First, since a gateway in the same process reads its vault directly.
    let localVault: Pick<StartSettings, 'localVault'> = {};
    if (configuration.control !== undefined) {
      const { startControl } = await import('./start-control.ts');
      const control = await startControl(configuration.control, settings);
      roles.push(control);
      localVault = { localVault: control.vault };
    }
    if (configuration.verify !== undefined) {
      const { startVerify } = await import('./start-verify.ts');
      roles.push(await startVerify(configuration.verify, { ...settings, ...localVault }));
    }
    if (configuration.sign !== undefined) {
      const { startSign } = await import('./start-sign.ts');
      roles.push(await startSign(configuration.sign, settings));
    }
  } catch (error) {
    await stopAll(roles);
    throw error;
  }
  return {
    roles,
    reload: async () => {
      const { configuration: next } = await loadConfiguration(file);
      const missing = roles.filter(({ role }) => next[role] === undefined);
      const problems = missing.map(({ role }) => `${role}: a role ends only with a restart`);
      for (const name of ['control', 'verify', 'sign'] as const)
        if (configuration[name] === undefined && next[name] !== undefined)
          problems.push(`${name}: a role begins only with a restart`);
      if (next.log.level !== configuration.log.level) problems.push('log.level: changes only with a restart');
      for (const running of roles) {
        if (next[running.role] === undefined) continue;
        await running.assertReloadable(next[running.role]).catch((error: unknown) => {
          if (!(error instanceof ConfigurationError)) throw error;
          problems.push(...error.problems);
        });
      }
      if (problems.length > 0) throw new ConfigurationError(problems);
      // The gateway first: what it trusts has to be read by others, which may still fail.
      const gatewayFirst = roles.toSorted(
        ({ role: one }, { role: other }) => Number(other === 'verify') - Number(one === 'verify'),
      );
      for (const running of gatewayFirst) await running.reload(next[running.role]);
    },
    stop: () => stopAll(roles),
  };
}

async function stopAll(roles: readonly RunningRole[]): Promise<void> {
  // In reverse: a gateway is gone before the vault that it reads.
  for (const role of roles.toReversed()) await role.stop();
}
