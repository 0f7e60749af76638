// What one provider's HTTP API means: which action, model and tools a request asks for.
// One file in providers/ describes one API as a table; nothing else has to change to add one.
// Profile section 3: what cannot be determined without doubt is denied, so every reader here may refuse.

import type { Action } from '../../token/authorization-details.ts';

/** A JSON value as parsed from the verified body; duplicate members were refused before. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [member: string]: Json };

/** What a request asks for, in the words a capability is written in. */
export interface WantedAccess {
  readonly action: Action;
  /** What it does besides, each of which must be allowed too: an answer in pictures or sound. */
  readonly also?: readonly Action[];
  /** The provider's own name of the model, not prefixed; absent only where the operation has no model (a list of models). */
  readonly model?: string;
  /** Every tool the request declares, provider-side ones included; MCP servers as `mcp:server/tool` or `mcp:server/*`. */
  readonly tools: readonly string[];
  /** Most tokens the answer can cost as the request itself limits them; `unstated` counts as unbounded. */
  readonly outputTokens: number | 'unstated';
}

/** Parts of a verified request that an operation may read. The path is without the provider's prefix. */
export interface OperationInput {
  /** Values of the `{name}` segments of the operation's path, percent-decoded once. */
  readonly path: Readonly<Record<string, string>>;
  /** Parsed query; a repeated name was refused before. */
  readonly query: ReadonlyMap<string, string>;
  /** The JSON body; an empty object where the operation takes none. */
  readonly body: JsonObject;
}

export interface Operation {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path template: literal text and `{name}` segments; `{name}` matches one segment up to the next `/` or the literal that follows it. */
  readonly path: string;
  /** `json`: a JSON object is due; `multipart`: multipart/form-data whose text fields stand in `body` as strings (those named `x[]` as arrays of strings); `none`: no content allowed. */
  readonly body: 'json' | 'multipart' | 'none';
  /** Media types beside application/json under which SDKs send the same JSON. */
  readonly jsonAs?: readonly string[];
  /** Where a request states the most tokens that its answer may have; absent where it cannot. */
  readonly outputLimit?: string;
  /** Query parameters the operation understands; any other is refused. */
  readonly query?: readonly string[];
  /** Throws {@link Undetermined} when the request leaves any doubt. */
  wants(input: OperationInput): WantedAccess;
}

export interface ProviderApi {
  /** Value of `api:` in the configuration. */
  readonly name: string;
  /** The provider's public endpoint, used where the configuration names none; absent where each customer has an own one. */
  readonly upstream?: string;
  /** Where the provider expects its key: Envoy injects `prefix` + key into `header`. */
  readonly credential: { readonly header: string; readonly prefix: string };
  /** Environment variable with which the provider's SDK is pointed at another base URL, and what to append to the sidecar's URL and prefix. */
  readonly baseUrl: { readonly environment: string; readonly suffix: string };
  readonly operations: readonly Operation[];
}

/** The request leaves open what it asks for; `detail` says what to send instead. Denied with 403 `capability-insufficient`. */
export class Undetermined extends Error {
  override readonly name = 'Undetermined';
}
