// Starts the roles of a configuration, reloads them on SIGHUP, stops them in order.

import { type Configuration, ConfigurationError, loadConfiguration } from '../config.ts';
import type { RunningRole } from './running-role.ts';
import { startControl } from './start-control.ts';
import { startSign } from './start-sign.ts';
import { type StartSettings, startVerify } from './start-verify.ts';

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
    const control = configuration.control && (await startControl(configuration.control, settings));
    if (control) roles.push(control);
    const localVault = control && { localVault: control.vault };
    if (configuration.verify !== undefined) roles.push(await startVerify(configuration.verify, { ...settings, ...localVault }));
    if (configuration.sign !== undefined) roles.push(await startSign(configuration.sign, settings));
  } catch (error) {
    await stopAll(roles);
    throw error;
  }
  return {
    roles,
    reload: async () => {
      const { configuration: next } = await loadConfiguration(file);
      const missing = roles.filter(({ role }) => next[role] === undefined);
      if (missing.length > 0) throw new ConfigurationError(missing.map(({ role }) => `${role}: a role ends only with a restart`));
      for (const running of roles) await running.reload(next[running.role]);
    },
    stop: () => stopAll(roles),
  };
}

async function stopAll(roles: readonly RunningRole[]): Promise<void> {
  // In reverse: a gateway is gone before the vault that it reads.
  for (const role of roles.toReversed()) await role.stop();
}
