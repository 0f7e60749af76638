// Who is told of restrictions as they come into force: of each, or of many at once where that is enough.

import type { Restriction } from '../../../restrictions/verify-restriction.ts';

export type Listener = (restriction: Restriction, sequence: number) => void;

export class Listeners {
  readonly #onMany = new Map<Listener, (() => void) | undefined>();

  add(listener: Listener, onMany: (() => void) | undefined): () => void {
    this.#onMany.set(listener, onMany);
    return () => void this.#onMany.delete(listener);
  }

  /** Whether someone has to be told of each of many. */
  get needEach(): boolean {
    return [...this.#onMany.values()].includes(undefined);
  }

  tell(restriction: Restriction, sequence: number): void {
    for (const listener of this.#onMany.keys()) listener(restriction, sequence);
  }

  tellOfMany(): void {
    for (const onMany of this.#onMany.values()) onMany?.();
  }
}
