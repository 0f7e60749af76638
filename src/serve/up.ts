// The service and its Envoy together, in the foreground: how the pair runs without Kubernetes.

import type { Configuration } from '../config.ts';
import { type EnvoyLocation, locateEnvoy } from '../envoy/locate-envoy.ts';
import { type RunningEnvoy, startEnvoy } from '../envoy/run-envoy.ts';
import type { RunningRole } from './running-role.ts';
import { startService } from './serve.ts';
import type { StartSettings } from './start-verify.ts';

export interface RunningPair {
  /** Where clients reach each role's Envoy, `http://HOST:PORT`. */
  readonly urls: Readonly<Partial<Record<RunningRole['role'], string>>>;
  reload(): Promise<void>;
  /** Envoy first, so that no request finds its service gone. */
  stop(): Promise<void>;
}

export interface UpSettings extends StartSettings {
  readonly envoy?: EnvoyLocation;
  readonly onProgress?: (line: string) => void;
  /** Envoy ended by itself: the pair is of no use any more. */
  readonly onExit?: (error: Error) => void;
}

export async function startPair(file: string, configuration: Configuration, settings: UpSettings): Promise<RunningPair> {
  // The control role serves by itself.
  const wanted = configuration.verify !== undefined || configuration.sign !== undefined;
  const envoy =
    settings.envoy ?? (wanted ? await locateEnvoy(settings.onProgress && { onProgress: settings.onProgress }) : undefined);
  const service = await startService(file, configuration, settings);
  const envoys: { running: RunningEnvoy; close(): Promise<void> }[] = [];
  const urls: Partial<Record<RunningRole['role'], string>> = {};
  const stop = async () => {
    await Promise.all(envoys.map(({ running }) => running.stop()));
    await Promise.all(envoys.map(({ close }) => close()));
    await service.stop();
  };
  try {
    for (const running of service.roles) {
      if (running.role === 'control') urls.control = controlUrl(configuration.control, running.address);
      const section = running.role === 'control' ? undefined : configuration[running.role];
      if (section === undefined || running.prepareEnvoy === undefined || envoy === undefined) continue;
      const { bootstrap, close } = await running.prepareEnvoy();
      const started = await startEnvoy({
        bootstrap,
        envoy,
        directory: section.envoy.directory ?? '.',
        concurrency: section.envoy.concurrency,
        logLevel: section.envoy.logLevel,
        drainMillis: section.envoy.drainSeconds * 1000,
        onLog: (line) => settings.log.info({ envoy: running.role }, line),
        ...(settings.onExit && { onExit: settings.onExit }),
      });
      envoys.push({ running: started, close });
      urls[running.role] = urlOf(
        section.envoy.listen,
        started.ports.gateway ?? started.ports.sidecar,
        'tls' in section.envoy && section.envoy.tls !== undefined,
      );
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { urls, reload: () => service.reload(), stop };
}

/** Where it is reached here; the world reaches it at its origin. */
function controlUrl(control: Configuration['control'], address: string): string {
  if (address.startsWith('unix:')) return address;
  return `${control?.service.tls === undefined ? 'http' : 'https'}://${address}`;
}

function urlOf(listen: string, port: number | undefined, tls: boolean): string {
  const host = listen.slice(0, listen.lastIndexOf(':'));
  return `${tls ? 'https' : 'http'}://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}`;
}
