// A role that serves: what `serve` and `up` do with it, whichever it is.

import type { EnvoyBootstrap } from '../envoy/envoy-config.ts';

export interface RunningRole {
  readonly role: 'verify' | 'sign' | 'control';
  /** Where Envoy asks; of the control role, where its API is served. */
  readonly address: string;
  /** Whether it could take up a new configuration; nothing is changed. @throws as {@link reload} */
  assertReloadable(configuration: unknown): Promise<void>;
  /** Takes up a new configuration. @throws {ConfigurationError} or another error when it cannot; the old one stays in force. */
  reload(configuration: unknown): Promise<void>;
  /** The bootstrap of the Envoy that belongs to this role, if one does, and the credentials that it needs; `close` ends their watch. */
  prepareEnvoy?(): Promise<{ bootstrap: EnvoyBootstrap; close(): Promise<void> }>;
  stop(): Promise<void>;
}
