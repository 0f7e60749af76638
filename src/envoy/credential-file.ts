/**
 * The SDS file through which Envoy's credential_injector gets a provider's key (profile section 7). A key that
 * lives in a file is named there, not copied. Envoy by itself follows a renamed file and a Kubernetes `..data` swap; it does not see a
 * file rewritten in place or deleted, so this side compares the key's content and makes Envoy load it again.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';

export type CredentialSource =
  /** Absolute path of a file that holds the key and perhaps a line end; Envoy must be able to read it. */
  | { file: string }
  /** Name of an environment variable. Its value is written into the SDS file, mode 0600. */
  | { environment: string };

export interface CredentialFileSettings {
  /** The provider's `name`: Envoy asks for the secret by it. */
  name: string;
  source: CredentialSource;
  /** Where to put the SDS file: `provider.sdsFile`. Its directory is made when missing, mode 0700. */
  sdsFile: string;
  environment?: NodeJS.ProcessEnv;
  /** Milliseconds between two looks at a key file; default 1000. 0: do not watch. */
  watchMillis?: number;
  /** Called after the key changed, with nothing of the key; `error` when there is no usable key any more and requests get 503. */
  onChange?: (change: { name: string; error?: Error }) => void;
}

export interface CredentialFile {
  sdsFile: string;
  /** Ends the watch. The SDS file stays, since Envoy may still run. */
  close(): Promise<void>;
}

const secretType = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

/** Writes the SDS file and keeps it true. Throws an Error that names the source, never the key, when there is no usable key now. */
export async function credentialFile(settings: CredentialFileSettings): Promise<CredentialFile> {
  const { name, source, sdsFile } = settings;
  await mkdir(dirname(sdsFile), { recursive: true, mode: 0o700 });
  if ('environment' in source) {
    const key = usableKey(
      (settings.environment ?? process.env)[source.environment],
      `environment variable ${source.environment}`,
    );
    await replace(sdsFile, secretFile(name, { inline_string: key }));
    return { sdsFile, close: async () => {} };
  }
  if (!isAbsolute(source.file)) throw new Error(`key file ${source.file} must be an absolute path: Envoy reads it too`);

  let seen = fingerprint(await readKey(source.file));
  let generation = 0;
  await replace(sdsFile, secretFile(name, { filename: spelled(source.file, generation) }));

  const look = async () => {
    const key = await readKey(source.file).catch((error: Error) => error);
    const now = key instanceof Error ? 'unusable' : fingerprint(key);
    if (now === seen) return;
    generation += 1;
    // An update without secrets would leave the old key in place; an empty one makes the injector refuse.
    const secret = key instanceof Error ? { inline_string: '' } : { filename: spelled(source.file, generation) };
    await replace(sdsFile, secretFile(name, secret));
    seen = now;
    settings.onChange?.(key instanceof Error ? { name, error: key } : { name });
  };
  const closeWatch = repeat(look, settings.watchMillis ?? 1000, (error) => settings.onChange?.({ name, error }));
  return { sdsFile, close: closeWatch };
}

/** Envoy skips an update whose text it has seen, so that the same file is named in two ways in turn. */
function spelled(file: string, generation: number): string {
  return generation % 2 === 0 ? file : `/.${file}`;
}

function secretFile(name: string, secret: { inline_string: string } | { filename: string }): string {
  return `${JSON.stringify({ resources: [{ '@type': secretType, name, generic_secret: { secret } }] }, undefined, 2)}\n`;
}

async function readKey(file: string): Promise<string> {
  const text = await readFile(file, 'latin1').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`key file ${file} cannot be read (${error.code ?? 'unknown'})`);
  });
  // Envoy takes line ends off, but sends blanks as they are: then say so instead of letting the provider refuse the key.
  return usableKey(text.replace(/[\r\n]+$/, ''), `key file ${file}`);
}

function usableKey(key: string | undefined, where: string): string {
  if (key === undefined || key === '') throw new Error(`${where} is empty: no key for the provider`);
  if (!/^[\x21-\x7e]+$/.test(key)) throw new Error(`${where} holds a blank, a line break or a character beyond ASCII: not a key`);
  return key;
}

function fingerprint(key: string): string {
  return createHash('sha256').update(key).digest('base64');
}

/** A rename, which is all that Envoy watches for, and never half a file. */
async function replace(path: string, text: string): Promise<void> {
  const aside = join(dirname(path), `.${process.pid}.${Math.trunc(performance.now() * 1000)}.new`);
  await writeFile(aside, text, { mode: 0o600, flag: 'wx' });
  await rename(aside, path);
}

/** One look after another, never two at once; the timer does not keep the program alive. */
function repeat(look: () => Promise<void>, millis: number, onError: (error: Error) => void): () => Promise<void> {
  if (millis === 0) return async () => {};
  let looking = Promise.resolve();
  const timer = setInterval(() => {
    looking = looking.then(look).catch((error: unknown) => onError(error instanceof Error ? error : new Error(String(error))));
  }, millis).unref();
  return async () => {
    clearInterval(timer);
    await looking;
  };
}
