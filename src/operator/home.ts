// The operator's home: a folder that only its owner can enter, with the keys, the logs of its DIDs, and what was granted to whom.

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { authorizationDetailsSchema } from '../token/authorization-details.ts';
import { MAX_DEPTH } from '../token/capability-token.ts';
import { makeDirectory, readIfThere, writeDurably } from './durable-file.ts';
import { lockHome } from './home-lock.ts';
import { OperatorError } from './operator-error.ts';

/** Of an operator or an agent: a label of a host name, since it is a part of the DID. */
export const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const operatorFile = z.strictObject({
  name: z.string().regex(NAME),
  did: z.string(),
  /** Origin of the vault. */
  vault: z.string(),
  /** File with the CA certificates that the vault is verified against, where they are not the system's. */
  vaultCa: z.string().optional(),
  createdAt: z.iso.datetime(),
});
export type OperatorFile = z.infer<typeof operatorFile>;

const grant = z.strictObject({
  audience: z.array(z.string()).min(1),
  details: authorizationDetailsSchema,
  lifetimeSeconds: z.int().min(1),
  maxDepth: z.int().min(0).max(MAX_DEPTH),
});
/** What an agent's root says beside its keys; kept so that it can be issued again. */
export type Grant = z.infer<typeof grant>;

const agentFile = z.strictObject({
  name: z.string().regex(NAME),
  did: z.string(),
  createdAt: z.iso.datetime(),
  /** Where `capability` and, unless the key is kept elsewhere, `key.jwk` are for the sidecar. */
  directory: z.string(),
  /** False for an agent whose private key this home has never seen. */
  holdsKey: z.boolean(),
  /** False until the first `register` got to its end. */
  registered: z.boolean(),
  /** Absent in a home that was rebuilt from the vault, which does not know it. */
  grant: grant.optional(),
});
export type AgentFile = z.infer<typeof agentFile>;

export interface HomeFiles {
  readonly directory: string;
  readonly operator: string;
  readonly recoveryKey: string;
  readonly signingKey: string;
  readonly pendingKey: string;
  readonly log: string;
  readonly agents: string;
  agent(name: string): AgentFiles;
}

export interface AgentFiles {
  readonly directory: string;
  readonly agent: string;
  readonly log: string;
  readonly pendingKey: string;
}

/** @param directory from the command line; HERMESBRIDGE_HOME or `~/.hermesbridge/operator` otherwise */
export function homeFiles(directory?: string): HomeFiles {
  const home = resolve(directory ?? (process.env.HERMESBRIDGE_HOME || join(homedir(), '.hermesbridge', 'operator')));
  const agents = join(home, 'agents');
  return {
    directory: home,
    operator: join(home, 'operator.json'),
    recoveryKey: join(home, 'recovery.key'),
    signingKey: join(home, 'signing.jwk'),
    pendingKey: join(home, 'pending-key.jwk'),
    log: join(home, 'did.jsonl'),
    agents,
    agent: (name) => ({
      directory: join(agents, name),
      agent: join(agents, name, 'agent.json'),
      log: join(agents, name, 'did.jsonl'),
      pendingKey: join(agents, name, 'pending-key.jwk'),
    }),
  };
}

/** Runs a command alone in the home. @throws {OperatorError} while another one works there */
export async function alone<T>(files: HomeFiles, run: () => Promise<T>): Promise<T> {
  await makeDirectory(files.directory, true);
  const release = await lockHome(files.directory);
  try {
    return await run();
  } finally {
    release();
  }
}

/** @throws {OperatorError} when there is none */
export async function readOperatorFile(files: HomeFiles): Promise<OperatorFile> {
  const found = await findOperatorFile(files);
  if (found !== undefined) return found;
  throw new OperatorError(
    `${files.directory} holds no operator: make one with \`hermesbridge operator init\`, or name its folder with --home DIR or HERMESBRIDGE_HOME`,
  );
}

export async function findOperatorFile(files: HomeFiles): Promise<OperatorFile | undefined> {
  return readAs(operatorFile, files.operator);
}

export async function findAgentFile(files: AgentFiles): Promise<AgentFile | undefined> {
  return readAs(agentFile, files.agent);
}

export async function writeJson(file: string, value: OperatorFile | AgentFile): Promise<void> {
  await writeDurably(file, `${JSON.stringify(value, undefined, 2)}\n`);
}

/** @throws {OperatorError} */
export function assertName(name: string): void {
  if (!NAME.test(name))
    throw new OperatorError(`"${name.slice(0, 80)}" is no name: use a-z, 0-9 and "-" inside, at most 63 characters`);
}

async function readAs<T>(schema: z.ZodType<T>, file: string): Promise<T | undefined> {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
    const why = issue === undefined ? 'is not JSON' : `${issue.path.map(String).join('.') || 'it'}: ${issue.message}`;
    throw new OperatorError(`${file} is not as this program wrote it (${why}): put it back from a backup`);
  }
}
