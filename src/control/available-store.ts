// The store as the operations use it: one that cannot be read or does not confirm is unavailable for now, and no defect of a request.

import { RegistryConflict, type VaultStore } from '../vault/registry.ts';
import { Problem } from './problem.ts';

const UNREADABLE = 'The store of the vault cannot be read now.';
/** What was not confirmed may have been kept all the same. */
const UNCONFIRMED = 'The store did not confirm the write: send it again, with the same idempotency key if it has one.';

/** Its methods throw, or reject with, what the store declares and {@link Problem} for everything else. */
export function availableStore(store: VaultStore): VaultStore {
  const read = <T>(act: () => T): T => {
    try {
      return act();
    } catch (error) {
      throw declared(error) ? error : new Problem('unavailable', UNREADABLE, { cause: error });
    }
  };
  const write = <T>(written: Promise<T>): Promise<T> =>
    written.catch((error: unknown) => {
      throw declared(error) ? error : new Problem('unavailable', UNCONFIRMED, { cause: error });
    });
  return {
    epoch: store.epoch,
    answered: (once) => read(() => store.answered(once)),
    register: (registration, once, answer) => write(store.register(registration, once, answer)),
    append: (addition, once, answer) => write(store.append(addition, once, answer)),
    find: (did) => read(() => store.find(did)),
    readLog: (did) => read(() => store.readLog(did)),
    readLogAt: (path) => read(() => store.readLogAt(path)),
    list: (kind, operator, cursor, limit) => read(() => store.list(kind, operator, cursor, limit)),
    changesAfter: (sequence, limit) => read(() => store.changesAfter(sequence, limit)),
    lastSequence: () => read(() => store.lastSequence()),
    subscribe: (listener) => store.subscribe(listener),
  };
}

/** A conflict, or a cursor that the store did not hand out. */
function declared(error: unknown): boolean {
  return error instanceof RegistryConflict || error instanceof RangeError;
}
