// The rules of who may know whom, each with its reason. They are what lets a reader understand a folder without the others.

import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

interface Import {
  readonly from: string;
  /** A file in src/, or a package's name. */
  readonly to: string;
  readonly typeOnly: boolean;
}

const SRC = fileURLToPath(new URL('../src', import.meta.url));
const files = globSync('**/*.ts', { cwd: SRC })
  .map((file) => file.replaceAll('\\', '/'))
  .sort();
const text = new Map(files.map((file) => [file, readFileSync(join(SRC, file), 'utf8')]));
const code = new Map([...text].map(([file, source]) => [file, withoutComments(source)]));
const imports = files.flatMap(importsOf);

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/[^\n]*/g, '$1');
}

function importsOf(from: string): Import[] {
  const statements = (code.get(from) ?? '').matchAll(/\b(?:import|export)\b(?<names>[^;'"]*?)\bfrom\s*'(?<path>[^']+)'/g);
  return [...statements].map(({ groups }) => {
    const { names = '', path = '' } = groups ?? {};
    const listed = /\{(?<all>[\s\S]*)\}/
      .exec(names)
      ?.groups?.all?.split(',')
      .filter((name) => name.trim() !== '');
    const typeOnly = /^\s*type\b/.test(names) || (listed?.every((name) => /^\s*type\b/.test(name)) ?? false);
    return { from, to: path.startsWith('.') ? join(dirname(from), path) : path, typeOnly };
  });
}

/** `checks/nonce` for a file in it, and the file itself for one directly in src/. */
function folderOf(file: string): string {
  return file.includes('/') ? (file.split('/')[0] ?? '') : file;
}

const shown = ({ from, to }: Import) => `${from} -> ${to}`;

test('there is something to look at', () => {
  expect(files.length).toBeGreaterThan(60);
  expect(imports.length).toBeGreaterThan(200);
  expect(imports.filter(({ to }) => to.endsWith('.ts') && !text.has(to)).map(shown)).toEqual([]);
});

/** Which folders of src/, and files directly in it, each one may import. What is not here may import anything but its own dependents. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  // Pure functions over bytes; a request is there only as the shape of what is signed.
  crypto: ['request.ts'],
  'request.ts': [],
  'reason.ts': [],
  'outcome.ts': ['reason.ts'],
  'note.ts': [],
  'flat-table.ts': [],
  vault: ['crypto'],
  // A token is the same whoever checks it: what it may say does not follow from who reads it.
  token: ['crypto'],
  trust: ['token', 'vault', 'crypto'],
  // A statement and the set of them: what a gateway does with it is the check's.
  restrictions: ['token', 'vault', 'crypto', 'note.ts', 'flat-table.ts'],
  // What others are told of restrictions, and what they tell that becomes some.
  events: ['restrictions', 'vault', 'crypto'],
  // What was seen, and the views of it: judged by the set of restrictions, as requests are.
  sightings: ['restrictions', 'token', 'note.ts'],
  checks: ['trust', 'restrictions', 'token', 'vault', 'crypto', 'request.ts', 'outcome.ts', 'note.ts', 'flat-table.ts'],
  'decision.ts': ['checks', 'outcome.ts', 'reason.ts'],
  'decide.ts': ['checks', 'decision.ts', 'request.ts'],
  // Which responses run, and when they end: whether a chain is revoked, it asks what row 10 asks.
  streams: ['checks', 'restrictions'],
  audit: ['decision.ts', 'checks', 'crypto', 'request.ts', 'note.ts', 'streams'],
  // The sidecar builds what the checks take apart, out of the same constants.
  sign: ['checks', 'token', 'vault', 'crypto', 'request.ts'],
  // The operator's own keys and its client of a vault: what it publishes is what every verifier reads.
  operator: ['restrictions', 'sightings', 'token', 'vault', 'crypto'],
  // Stores implement the interfaces that checks declare.
  stores: ['checks', 'restrictions', 'sightings', 'vault', 'events', 'flat-table.ts'],
  // The vault's API, which reads signatures as the gateway does.
  control: ['checks', 'restrictions', 'trust', 'token', 'vault', 'crypto', 'request.ts', 'sightings', 'events'],
  'ext-authz': [
    'audit',
    'checks',
    'decide.ts',
    'decision.ts',
    'outcome.ts',
    'note.ts',
    'reason.ts',
    'request.ts',
    'sign',
    'streams',
  ],
  'ext-proc': ['ext-authz', 'streams'],
  envoy: [],
};

describe('data flows one way', () => {
  test.each(Object.entries(MAY_IMPORT))('%s imports only what is below it', (folder, allowed) => {
    const beyond = imports.filter(
      ({ from, to }) =>
        folderOf(from) === folder && to.endsWith('.ts') && folderOf(to) !== folder && !allowed.includes(folderOf(to)),
    );
    expect(beyond.map(shown)).toEqual([]);
  });

  test('the rules name every folder but those that wire things together', () => {
    const wiring = ['cli', 'serve', 'config.ts', 'main.ts', 'types.d.ts'];
    expect([...new Set(files.map(folderOf))].filter((folder) => !wiring.includes(folder)).sort()).toEqual(
      Object.keys(MAY_IMPORT).sort(),
    );
  });

  test('nothing depends on the commands, nor on how roles are started', () => {
    const beyond = imports.filter(
      ({ from, to }) =>
        (folderOf(to) === 'cli' && !['cli', 'main.ts'].includes(folderOf(from))) ||
        (folderOf(to) === 'serve' && !['serve', 'cli', 'main.ts'].includes(folderOf(from))) ||
        to === 'main.ts',
    );
    expect(beyond.map(shown)).toEqual([]);
  });

  test('there is no cycle, not even of types: each file can be read after those that it imports', () => {
    expect(findCycle()).toEqual([]);
  });
});

function findCycle(): string[] {
  const below = Map.groupBy(imports, ({ from }) => from);
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const { to } of below.get(file) ?? []) {
      const cycle = text.has(to) ? visit(to, [...path, file]) : [];
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  return files.map((file) => visit(file, [])).find((cycle) => cycle.length > 0) ?? [];
}

describe('Envoy is known in three folders, so that the decision could be asked for by another proxy', () => {
  const elsewhere = files.filter((file) => !['ext-authz', 'ext-proc', 'envoy'].includes(folderOf(file)));

  test('only they speak gRPC and protobuf', () => {
    const packages = /^(?:@grpc\/|grpc-|protobufjs)/;
    expect(imports.filter(({ from, to }) => elsewhere.includes(from) && packages.test(to)).map(shown)).toEqual([]);
  });

  test('only they name its headers, and a capture is made to look like its message', () => {
    const naming = elsewhere.filter((file) => /x-envoy-|envoy\.service/.test(code.get(file) ?? ''));
    expect(naming).toEqual(['cli/captured-request.ts']);
  });
});

test('Redis is spoken in one folder, so that what is believed of it is decided in one place', () => {
  const speaking = imports.filter(({ to }) => /^(?:ioredis|redis|@redis\/)/.test(to)).map(({ from }) => from);
  expect(speaking.length).toBeGreaterThan(0);
  expect(speaking.filter((from) => !from.startsWith('stores/redis/'))).toEqual([]);
});

/** Rows of profile section 4. */
const ROW: Readonly<Record<string, number>> = {
  'checks/form/check-form.ts': 1,
  'checks/signature/signature-input.ts': 3,
  'checks/chain/check-chain.ts': 5,
  'checks/identity/check-identity.ts': 6,
  'checks/signature/check-signature.ts': 7,
  'checks/digest/check-digest.ts': 8,
  'checks/nonce/check-nonce.ts': 9,
  'checks/restriction/check-restriction.ts': 10,
  'checks/attestation/check-attestation.ts': 11,
  'checks/capability/check-capability.ts': 12,
  'checks/budget/check-budget.ts': 14,
};

describe('checks', () => {
  const among = imports.filter(({ from, to }) => from in ROW && to in ROW);

  test('import types of earlier checks only, so that the order in decide.ts is the only one there is', () => {
    expect(among.length).toBeGreaterThan(10);
    expect(among.filter(({ from, to }) => (ROW[to] ?? 0) >= (ROW[from] ?? 0)).map(shown)).toEqual([]);
  });

  test('never call one another', () => {
    expect(among.filter(({ typeOnly }) => !typeOnly).map(shown)).toEqual([]);
  });

  test('reach into no other check’s folder past its check', () => {
    const folder = (file: string) => file.split('/').slice(0, 2).join('/');
    const inside = imports.filter(
      ({ from, to }) => from in ROW && to.startsWith('checks/') && folder(to) !== folder(from) && !(to in ROW),
    );
    expect(inside.map(shown)).toEqual([]);
  });

  test('are all ranked here', () => {
    expect(files.filter((file) => /^checks\/.*\/check-[\w-]+\.ts$/.test(file) && !(file in ROW))).toEqual([]);
  });

  test('never know where something is kept', () => {
    expect(imports.filter(({ from, to }) => folderOf(from) === 'checks' && /^stores\/|sqlite|redis/.test(to)).map(shown)).toEqual(
      [],
    );
  });
});

describe('proofs', () => {
  /** Interfaces with a brand, by name, with the file that declares them. */
  const branded = files.flatMap((file) =>
    [...(code.get(file) ?? '').matchAll(/interface (\w+)[^{]*\{\s*readonly \[\w+\]: true;/g)].map(
      ([, name = '']) => [name, file] as const,
    ),
  );

  test('every check has one', () => {
    expect(branded.map(([, file]) => file)).toEqual(expect.arrayContaining(Object.keys(ROW)));
  });

  test.each(branded)('%s is asserted only in %s, which declares it: a permit cannot be forged elsewhere', (name, owner) => {
    const assertion = new RegExp(`\\bas\\s+(?:Readonly<\\s*)?${name}\\b|(?<!\\w)<${name}>\\s*[({]`);
    expect(files.filter((file) => file !== owner && assertion.test(code.get(file) ?? ''))).toEqual([]);
  });

  test('no brand is shared or exported', () => {
    expect(files.filter((file) => /export declare const \w+: unique symbol/.test(code.get(file) ?? ''))).toEqual([]);
  });
});

describe('words and sizes', () => {
  const vague = /^(?:utils?|managers?|helpers?|process(?:es|or|ors)?|contexts?|common|misc)$/;
  const words = (name: string) => name.split(/[^A-Za-z]+|(?<=[a-z])(?=[A-Z])/).map((word) => word.toLowerCase());

  test('no file has a name that says nothing', () => {
    expect(files.filter((file) => words(file).some((word) => vague.test(word)))).toEqual([]);
  });

  test('nothing exported has a name that says nothing', () => {
    const exported = files.flatMap((file) =>
      [...(code.get(file) ?? '').matchAll(/\bexport (?:async )?(?:declare )?(?:const|function|class|interface|type) (\w+)/g)].map(
        ([, name = '']) => name,
      ),
    );
    expect(exported.length).toBeGreaterThan(100);
    expect(exported.filter((name) => words(name).some((word) => vague.test(word)))).toEqual([]);
  });

  test('no file is longer than 300 lines', () => {
    expect([...text].filter(([, source]) => source.split('\n').length > 301).map(([file]) => file)).toEqual([]);
  });

  test('each file begins with what it is for', () => {
    expect([...text].filter(([, source]) => !/^(?:#!.*\n)?\/[/*]/.test(source)).map(([file]) => file)).toEqual([]);
  });
});
