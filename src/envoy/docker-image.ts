/** The image of the pinned Envoy at a Docker daemon, pulled once: `startEnvoy` then never waits for a download. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Throws the docker client's error when there is no client, no daemon, or no image to be had. */
export async function dockerImage(
  image: string,
  environment: NodeJS.ProcessEnv,
  onProgress: (line: string) => void,
): Promise<void> {
  const docker = (args: string[], timeout: number) => run('docker', args, { env: environment, timeout });
  await docker(['version', '--format', '{{.Server.Version}}'], 10_000);
  try {
    await docker(['image', 'inspect', '--format', '{{.Id}}', image], 10_000);
  } catch {
    onProgress(`pulling ${image} with Docker (once)`);
    await docker(['pull', '--quiet', image], 600_000);
  }
}
