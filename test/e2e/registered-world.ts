// An operator and its agent in a vault, with a gateway and a sidecar that know nothing but their DIDs: everything is done with the
// program's own commands, the vault and the gateway run in one process, and requests go through both Envoys.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { freePort } from '../../examples/quickstart/free-port.ts';
import { type LlmStandIn, type LlmStandInOptions, startLlmStandIn } from '../../examples/quickstart/llm-stand-in.ts';
import { readRecords } from '../../src/cli/records.ts';
import { hbJson } from '../cli/run-cli.ts';
import { makeCertificates } from '../envoy/certificates.ts';

export interface RegisteredWorld {
  readonly directory: string;
  readonly standIn: LlmStandIn;
  readonly sidecarUrl: string;
  /** `http://127.0.0.1:PORT` */
  readonly gatewayUrl: string;
  readonly trustedCaFile: string;
  /** Of the operator. */
  readonly home: string;
  readonly vaultOrigin: string;
  readonly operatorDid: string;
  readonly agentDid: string;
  /** A command of the operator's, with its home and the way to the vault. @throws when it fails */
  operator(...words: readonly string[]): Promise<Record<string, unknown>>;
  /** One chat through the sidecar; its status and, of a refusal, the reason. */
  chat(): Promise<{ status: number; reason: string | undefined }>;
  records(last: number): Record<string, unknown>[];
  gatewayLog(): string;
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const HOST = 'service.test';
const LOCAL_SECRET = 'local-secret-of-this-machine';
const PROVIDER_KEY = 'sk-stand-in-0123456789';
const READY_MILLIS = 120_000;

export async function startRegisteredWorld(provider: LlmStandInOptions = {}): Promise<RegisteredWorld> {
  const directory = await mkdtemp(join(tmpdir(), 'hb-registered-'));
  const standIn = await startLlmStandIn({ requireKey: PROVIDER_KEY, pauseMs: 0, ...provider });
  const pairs: Pair[] = [];
  const stop = async () => {
    await Promise.all(pairs.map((pair) => pair.stop()));
    await standIn.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const { trustedCaFile, server } = await makeCertificates(directory);
    const [vaultPort, gatewayPort] = [await freePort(), await freePort()];
    const vaultOrigin = `https://${HOST}:${vaultPort}`;
    const home = join(directory, 'operator');
    const operator = async (...words: readonly string[]) => {
      const reach = ['--vault-ca', trustedCaFile, '--resolve', `${HOST}:127.0.0.1`];
      const { code, value, stderr } = await hbJson([...words, '--home', home, ...reach]);
      if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
      return value;
    };
    const { did: operatorDid } = await operator('operator', 'init', '--name', 'acme', '--vault', vaultOrigin);

    await writeFile(join(directory, 'provider.key'), PROVIDER_KEY, { mode: 0o600 });
    await writeFile(join(directory, 'local.secret'), LOCAL_SECRET, { mode: 0o600 });
    const gateway = await writeConfiguration(directory, 'gateway.yaml', {
      control: {
        service: {
          listen: `127.0.0.1:${vaultPort}`,
          tls: { certificate: server.certificateFile, key: server.keyFile },
        },
        origin: vaultOrigin,
        operators: [operatorDid],
      },
      verify: {
        gateway: { names: ['gateway.local'], authorities: [`127.0.0.1:${gatewayPort}`] },
        trust: { operators: [{ did: operatorDid }] },
        providers: { openai: { api: 'openai', upstream: standIn.url, credential: { file: 'provider.key' } } },
        // A machine that stalls for a second is no reason to deny.
        store: { file: 'run/hermesbridge.db', recordTimeoutMillis: 5000 },
        service: { listen: 'unix:run/verify.sock', deadlineMillis: 10_000 },
        envoy: { listen: `127.0.0.1:${gatewayPort}`, concurrency: 1 },
      },
    });
    pairs.push(await startPair(gateway));
    await operator('operator', 'publish');
    const grant = ['--audience', 'gateway.local', '--action', 'chat', '--model', 'openai/gpt-5*'];
    const registered = await operator('agent', 'register', 'reader', ...grant);
    const sidecar = await writeConfiguration(directory, 'sidecar.yaml', {
      sign: {
        key: { file: String(registered.keyFile) },
        capability: { file: String(registered.capability) },
        localSecret: { file: 'local.secret' },
        gateway: pairs[0]?.urls.verify,
        service: { listen: 'unix:run/sign.sock', deadlineMillis: 10_000 },
        envoy: { listen: '127.0.0.1:0', concurrency: 1 },
      },
    });
    pairs.push(await startPair(sidecar));
    const sidecarUrl = pairs[1]?.urls.sign ?? '';
    return {
      directory,
      standIn,
      sidecarUrl,
      gatewayUrl: pairs[0]?.urls.verify ?? '',
      trustedCaFile,
      home,
      vaultOrigin,
      operatorDid: String(operatorDid),
      agentDid: String(registered.did),
      operator,
      chat: () => chat(sidecarUrl),
      records: (last) => readRecords(join(directory, 'run/hermesbridge.db'), last),
      gatewayLog: () => pairs[0]?.log() ?? '',
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function chat(sidecarUrl: string): Promise<{ status: number; reason: string | undefined }> {
  const response = await fetch(`${sidecarUrl}/openai/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${LOCAL_SECRET}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-5-mini', messages: [{ role: 'user', content: 'hello' }] }),
  });
  const text = await response.text();
  const { error } = JSON.parse(text || '{}') as { error?: { code?: string } };
  return { status: response.status, reason: error?.code };
}

async function writeConfiguration(directory: string, name: string, configuration: unknown): Promise<string> {
  const file = join(directory, name);
  await writeFile(file, stringify(configuration));
  return file;
}

interface Pair {
  readonly urls: Readonly<Record<string, string>>;
  log(): string;
  stop(): Promise<void>;
}

async function startPair(file: string): Promise<Pair> {
  const child = spawn(process.execPath, [MAIN, 'up', '--config', file, '--json'], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-100_000);
  });
  const urls = await readUrls(child, () => log);
  return {
    urls,
    log: () => log,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}

function readUrls(child: ChildProcess, log: () => string): Promise<Record<string, string>> {
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, string>>();
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    reject(new Error(`not ready in ${READY_MILLIS / 1000} s:\n${log()}`));
  }, READY_MILLIS);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (text.endsWith('}\n')) resolve((JSON.parse(text) as { urls: Record<string, string> }).urls);
  });
  child.once('exit', (code) => reject(new Error(`hermesbridge up ended with ${code}:\n${log()}`)));
  return promise.finally(() => clearTimeout(timer));
}
