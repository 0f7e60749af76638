// Everything the main job needs, on free local ports: an LLM stand-in, the gateway pair and the sidecar pair, an operator
// and an agent with keys. The pairs are the program's own `up`. The quickstart and the end-to-end tests both live in it.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { readRecords } from '../../src/cli/records.ts';
import type { Algorithm } from '../../src/crypto/public-key.ts';
import { freePort } from './free-port.ts';
import { type LlmStandIn, type LlmStandInOptions, startLlmStandIn } from './llm-stand-in.ts';

export interface WorldOptions {
  readonly algorithm?: Algorithm;
  /** Options of `capability issue` beside the keys. */
  readonly capability?: readonly string[];
  readonly standIn?: LlmStandInOptions;
  /** Without a sidecar, for those who sign by themselves. */
  readonly sidecar?: boolean;
  /** Merged over the `verify` section. */
  readonly verify?: Readonly<Record<string, unknown>>;
  /** Merged over the sidecar's `sign` section. */
  readonly sign?: Readonly<Record<string, unknown>>;
  readonly onProgress?: (line: string) => void;
}

export interface World {
  readonly directory: string;
  readonly standIn: LlmStandIn;
  readonly gatewayUrl: string;
  /** Empty without a sidecar. */
  readonly sidecarUrl: string;
  readonly localSecret: string;
  readonly operatorDid: string;
  readonly agentDid: string;
  /** Files of private keys and of the capability, for the command line. */
  readonly files: {
    readonly operatorKey: string;
    readonly agentKey: string;
    readonly capability: string;
    readonly gatewayConfiguration: string;
  };
  /** Standard error of the gateway's program. */
  gatewayLog(): string;
  /** The newest records, oldest first. */
  records(last?: number): Record<string, unknown>[];
  /** Ends the gateway's program with a signal and starts it again on the same port and store. */
  restartGateway(signal: NodeJS.Signals): Promise<void>;
  /** A further sidecar beside another agent; `sign` says at least its key and its capability. */
  addSidecar(name: string, sign: Readonly<Record<string, unknown>>): Promise<LocalPair>;
  /** A further replica of the gateway, with an Envoy and a store of its own; `verify` is merged over the first one's section. */
  addGateway(name: string, verify?: Readonly<Record<string, unknown>>): Promise<LocalPair>;
  /** The sidecar's program; `undefined` without one. */
  readonly sidecar: LocalPair | undefined;
  stop(): Promise<void>;
}

export const PROVIDER_KEY = 'sk-stand-in-0123456789';
export const GATEWAY_NAME = 'gateway.local';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const READY_MILLIS = 120_000;

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'hb-'));
  const standIn = await startLlmStandIn({ requireKey: PROVIDER_KEY, ...options.standIn });
  const pairs: LocalPair[] = [];
  const stop = async () => {
    await Promise.all(pairs.map((pair) => pair.stop('SIGTERM')));
    await standIn.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const files = {
      operatorKey: join(directory, 'operator.jwk'),
      agentKey: join(directory, 'agent.jwk'),
      capability: join(directory, 'agent.capability'),
      gatewayConfiguration: join(directory, 'gateway.yaml'),
    };
    const { didKey: operatorDid } = await hermesbridge('keygen', '--out', files.operatorKey);
    const { didKey: agentDid } = await hermesbridge('keygen', '--alg', options.algorithm ?? 'Ed25519', '--out', files.agentKey);
    const grant = options.capability ?? ['--action', 'chat', '--model', 'openai/gpt-5*', '--model', 'anthropic/claude-*'];
    const alg = options.algorithm ? ['--alg', options.algorithm] : [];
    const { token } = await hermesbridge(
      ...[
        'capability',
        'issue',
        '--operator-key',
        files.operatorKey,
        '--agent',
        String(agentDid),
        '--audience',
        GATEWAY_NAME,
        ...alg,
        ...grant,
      ],
    );
    await writeFile(files.capability, `${token}\n`);
    const localSecret = 'local-secret-of-this-machine';
    await writeSecret(join(directory, 'local.secret'), localSecret);
    await writeSecret(join(directory, 'provider.key'), PROVIDER_KEY);

    const port = await freePort();
    await writeFile(
      files.gatewayConfiguration,
      stringify({ verify: { ...gatewaySection(port, standIn.url, String(operatorDid)), ...options.verify } }),
    );
    const gateway = await startPair(files.gatewayConfiguration, 'verify', options.onProgress);
    pairs.push(gateway);

    const addSidecar = async (name: string, sign: Readonly<Record<string, unknown>>) => {
      const file = join(directory, `${name}.yaml`);
      await writeFile(file, stringify({ sign: { ...sidecarSection(gateway.url, directory, name), ...sign } }));
      const started = await startPair(file, 'sign', options.onProgress);
      pairs.push(started);
      return started;
    };
    const addGateway = async (name: string, verify: Readonly<Record<string, unknown>> = {}) => {
      const its = await freePort();
      const first = { ...gatewaySection(its, standIn.url, String(operatorDid)), ...options.verify };
      const section = {
        ...first,
        store: { ...first.store, file: `run/${name}.db` },
        service: { ...first.service, listen: `unix:run/${name}.sock` },
        envoy: { listen: `127.0.0.1:${its}`, concurrency: 1, directory: `run/${name}-envoy` },
        ...verify,
      };
      const file = join(directory, `${name}.yaml`);
      await writeFile(file, stringify({ verify: section }));
      const started = await startPair(file, 'verify', options.onProgress);
      pairs.push(started);
      return started;
    };
    const sidecar = options.sidecar === false ? undefined : await addSidecar('sidecar', options.sign ?? {});
    return {
      directory,
      standIn,
      gatewayUrl: gateway.url,
      sidecarUrl: sidecar?.url ?? '',
      sidecar,
      addSidecar,
      addGateway,
      localSecret,
      operatorDid: String(operatorDid),
      agentDid: String(agentDid),
      files,
      gatewayLog: () => pairs[0]?.log() ?? '',
      records: (last = 100) => readRecords(join(directory, 'run/hermesbridge.db'), last),
      restartGateway: async (signal) => {
        await pairs[0]?.stop(signal);
        pairs[0] = await startPair(files.gatewayConfiguration, 'verify', options.onProgress);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function gatewaySection(port: number, upstream: string, operator: string) {
  const credential = { file: 'provider.key' };
  return {
    gateway: { names: [GATEWAY_NAME], authorities: [`127.0.0.1:${port}`] },
    trust: { operators: [{ did: operator, vouchesForAgents: true }] },
    providers: {
      openai: { api: 'openai', upstream, credential },
      anthropic: { api: 'anthropic', upstream, credential },
      gemini: { api: 'gemini', upstream, credential },
    },
    // A laptop, or a CI machine, that stalls for a second is no reason to deny.
    store: { file: 'run/hermesbridge.db', recordTimeoutMillis: 5000 },
    service: { listen: 'unix:run/verify.sock', deadlineMillis: 10_000 },
    envoy: { listen: `127.0.0.1:${port}`, concurrency: 1 },
  };
}

function sidecarSection(gateway: string, directory: string, name: string) {
  return {
    key: { file: join(directory, 'agent.jwk') },
    capability: { file: join(directory, 'agent.capability') },
    localSecret: { file: join(directory, 'local.secret') },
    gateway,
    service: { listen: `unix:run/${name}.sock`, deadlineMillis: 10_000 },
    envoy: { listen: '127.0.0.1:0', concurrency: 1, directory: `run/${name}-envoy` },
  };
}

/** Runs one command of the program and returns what it prints as JSON. */
export async function hermesbridge(...words: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...words, '--json']);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** A running `hermesbridge up` with its Envoy. */
export interface LocalPair {
  readonly url: string;
  log(): string;
  stop(signal: NodeJS.Signals): Promise<void>;
}

async function startPair(file: string, role: string, onProgress?: (line: string) => void): Promise<LocalPair> {
  // With a channel to this program, the pair ends even when this program is killed and can say nothing any more.
  const child = spawn(process.execPath, [MAIN, 'up', '--config', file, '--json'], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-100_000);
    for (const line of text.split('\n')) if (line !== '' && !line.startsWith('{')) onProgress?.(line);
  });
  const { urls } = await readReady(child, () => log);
  return {
    url: urls[role] ?? '',
    log: () => log,
    stop: async (signal) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await once(child, 'exit');
    },
  };
}

async function readReady(child: ChildProcess, log: () => string): Promise<{ urls: Record<string, string> }> {
  let text = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`not ready in ${READY_MILLIS / 1000} s:\n${log()}`));
    }, READY_MILLIS);
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (!text.includes('\n}\n')) return;
      clearTimeout(timer);
      const said = JSON.parse(text) as { urls: Record<string, string> } | { error: unknown };
      if ('urls' in said) resolve(said);
      else reject(new Error(log()));
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`hermesbridge up ended with ${code}:\n${log()}`));
    });
  });
}

async function writeSecret(file: string, secret: string): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, secret, { mode: 0o600 });
  await chmod(file, 0o600);
}
