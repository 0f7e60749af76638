// The chains that an agent's sidecar signs under (profile section 9): the capability itself, a session below it, and below the
// session a scope for each task that requests name. Keys of sessions and tasks are made here and live in memory only.

import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { AuthorizationDetails } from '../token/authorization-details.ts';
import type { SignerConfiguration } from './configuration.ts';
import { type HeldChain, roomBelow } from './held-chain.ts';
import { RenewedLink } from './renewed-link.ts';

export interface ChainSettings {
  readonly session: SignerConfiguration['session'];
  readonly task: SignerConfiguration['task'];
  /** What a task may do, by its name, where that is less than the agent may. */
  readonly tasks: Readonly<Record<string, AuthorizationDetails>>;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly log: Logger;
}

/** A request names a task that it cannot have; the message is for the agent. */
export class TaskRefused extends Error {
  override readonly name = 'TaskRefused';
}

/** Scopes that are kept; the one that was not used for longest goes, and is opened anew when it is named again. */
export const MOST_TASKS = 1000;

export class AgentChains {
  /** The capability, with the key that it was issued to. */
  readonly bound: HeldChain;
  readonly #settings: ChainSettings;
  readonly #session: RenewedLink | undefined;
  readonly #scopes = new Map<string, RenewedLink>();

  /** Says in the log what the capability leaves no room for. */
  constructor(bound: HeldChain, settings: ChainSettings) {
    this.bound = bound;
    this.#settings = settings;
    const room = roomBelow(bound);
    this.#session = room > 0 ? this.#makeSession() : undefined;
    if (room < 2) settings.log.info({ delMaxDepth: bound.leaf.untrustedClaims.del_max_depth }, NO_ROOM[room]);
  }

  /**
   * @param task as the request names it
   * @throws {TaskRefused}
   */
  async forRequest(task: string | undefined): Promise<HeldChain> {
    const session = await this.session();
    const given = session.leaf.untrustedClaims.task;
    const named = task ?? given;
    if (named === undefined) return session;
    // The chain says already that it is for this task, but not that the task may do less here.
    if (named === given && !Object.hasOwn(this.#settings.tasks, named)) return session;
    const isOpen = given === undefined || named === given;
    const scope = isOpen && roomBelow(session) > 0 ? await this.#scope(named, session).current() : undefined;
    if (scope !== undefined) return scope;
    if (!this.#settings.task.required && named !== given) return session;
    throw new TaskRefused(whyNone(session, named));
  }

  /** The session, or the capability itself where there can be none: what is signed under where no task is named. */
  async session(): Promise<HeldChain> {
    return (await this.#session?.current()) ?? this.bound;
  }

  /**
   * What a delegation goes below, and when it ends at the latest: the session where that leaves room for it, else the capability, and
   * with the session all the same. @returns `undefined` where nothing leaves room
   */
  async delegable(): Promise<HeldChain | undefined> {
    const session = await this.session();
    const held = [session, this.bound].find((one) => roomBelow(one) > 0);
    return held && held.expiresAt > session.expiresAt ? { ...held, expiresAt: session.expiresAt } : held;
  }

  #makeSession(): RenewedLink {
    const { session, clock, log } = this.#settings;
    // In a session that another agent opened and delegated below, ours is a part of it.
    const given = this.bound.leaf.untrustedClaims.sid;
    return new RenewedLink(this.bound, {
      terms: () => ({ lifetimeSeconds: session.lifetimeMinutes * 60, sid: given ?? randomBytes(16).toString('base64url') }),
      clock,
      onOpened: ({ leaf, expiresAt }) =>
        log.info({ sid: leaf.untrustedClaims.sid, expires: new Date(expiresAt).toISOString() }, 'session opened'),
      onFailed: (error) => log.error({ err: error }, 'session not opened: the one before serves, or the agent’s own key'),
    });
  }

  #scope(task: string, session: HeldChain): RenewedLink {
    const before = this.#scopes.get(task);
    this.#scopes.delete(task);
    // A scope ends with the session that it is part of.
    const scope = before?.above === session ? before : this.#makeScope(task, session);
    for (const oldest of this.#scopes.keys()) {
      if (this.#scopes.size < MOST_TASKS) break;
      this.#scopes.delete(oldest);
    }
    this.#scopes.set(task, scope);
    return scope;
  }

  #makeScope(task: string, session: HeldChain): RenewedLink {
    const settings = this.#settings;
    const details = Object.hasOwn(settings.tasks, task) ? settings.tasks[task] : undefined;
    return new RenewedLink(session, {
      terms: () => ({ lifetimeSeconds: settings.task.lifetimeMinutes * 60, task, details }),
      clock: settings.clock,
      onFailed: (error) => settings.log.error({ err: error, task }, 'task scope not opened'),
    });
  }
}

const NO_ROOM: readonly string[] = [
  'the capability allows no link below it: requests are signed with the agent’s own key, without sessions and tasks',
  'the capability allows one link below it: requests are signed in a session, and tasks cannot be opened',
];

function whyNone(session: HeldChain, named: string): string {
  const given = session.leaf.untrustedClaims.task;
  if (given !== undefined && given !== named) return 'This agent works for one task, and the request names another.';
  if (roomBelow(session) > 0) return 'The scope of the task could not be opened: see the sidecar’s log.';
  if (given !== undefined)
    return 'sign.tasks says what this task may do, and the capability leaves no room for a link that holds requests to it: issue one with a greater --max-depth, or take the task out of sign.tasks.';
  return 'The request names a task, and the capability leaves no room for its scope: issue one with a greater --max-depth, or set sign.task.required to false.';
}
