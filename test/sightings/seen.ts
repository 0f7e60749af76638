// Links as a gateway saw them, and a file that keeps them: the real store and the real set of restrictions, without the thread.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RestrictionClaims } from '../../src/restrictions/restriction.ts';
import { RestrictionSet } from '../../src/restrictions/restriction-set.ts';
import type { Restriction } from '../../src/restrictions/verify-restriction.ts';
import type { Sighted } from '../../src/sightings/judge-link.ts';
import type { SeenLink } from '../../src/sightings/sighting.ts';
import { openSightings } from '../../src/stores/sqlite/sightings/sighting-database.ts';
import { makeSightingReader } from '../../src/stores/sqlite/sightings/sighting-reader.ts';
import { makeSightingWriter, type SightingWriter } from '../../src/stores/sqlite/sightings/sighting-writer.ts';

export const NOW = 1_800_000_000;
export const OPERATOR = 'did:key:zOperator';
export const AGENT = 'did:key:zAgent';

let made = 0;

/** A root of {@link AGENT}, or what is below another link, that says what that says. */
export function link(above: SeenLink | undefined, changes: Partial<SeenLink> = {}): SeenLink {
  made++;
  const base = {
    operator: OPERATOR,
    rootAgent: changes.agent ?? AGENT,
    agent: AGENT,
    sid: undefined,
    task: undefined,
    iat: NOW - 100,
    exp: NOW + 3600,
    details: { type: 'llm_access' as const, actions: ['chat' as const], models: ['openai/gpt-5*'] },
    ...above,
  };
  const one = {
    ...base,
    tokenHash: `hash-${made}`.padEnd(43, '_'),
    parent: above?.tokenHash,
    jti: `jti-${made}-0123456789abcdef`,
    jkt: `jkt-${made}`.padEnd(43, '_'),
    depth: above === undefined ? 0 : above.depth + 1,
    ...changes,
  };
  return {
    ...one,
    opensSession: one.sid !== undefined && above?.sid === undefined,
    setsTask: one.task !== undefined && above?.task === undefined,
    delegates: above !== undefined && above.agent !== one.agent,
  };
}

export interface SeenWorld {
  readonly sighted: Sighted;
  readonly writer: SightingWriter;
  see(...links: readonly SeenLink[]): void;
  /** Puts a restriction in force; @returns its id */
  restrict(restriction: Partial<RestrictionClaims>): string;
  close(): void;
}

export function makeSeenWorld(limits = { keepSeconds: 3600, maxLinks: 100_000, maxLinksPerAgent: 100_000 }): SeenWorld {
  const directory = mkdtempSync(join(tmpdir(), 'hb-seen-'));
  const database = openSightings(join(directory, 'sightings.db'));
  const writer = makeSightingWriter(database, limits);
  const restrictions: Restriction[] = [];
  const set = new RestrictionSet({ administrators: ['did:key:zAdministrator'], read: (sequence) => restrictions[sequence - 1] });
  return {
    writer,
    sighted: {
      reader: makeSightingReader(database),
      find: (chain) => set.find(chain),
      restriction: (wanted) => restrictions.find(({ id }) => id === wanted),
    },
    see: (...links) =>
      void writer.write(
        links.map((each) => ({ ...each, at: NOW, gateway: 'gateway.local' })),
        NOW,
      ),
    restrict: (changes) => {
      const id = `restriction-${restrictions.length + 1}`;
      const claims = { id, effect: 'revoke', by: OPERATOR, at: NOW - 10, reason: '', ...changes } as unknown as Restriction;
      restrictions.push(claims);
      set.add(claims, restrictions.length);
      return id;
    },
    close: () => {
      database.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
