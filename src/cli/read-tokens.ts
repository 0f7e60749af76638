// Tokens of a chain as a command line names them: each argument a token, a file with one a line, or - for standard input.

import { CommandError, readNamedFile } from './output.ts';

/** @returns compact tokens in order. @throws {CommandError} where there is none */
export async function readTokens(named: readonly string[]): Promise<[string, ...string[]]> {
  const tokens: string[] = [];
  for (const argument of named) tokens.push(...(await read(argument)).split(/\s+/).filter((token) => token !== ''));
  const [first, ...rest] = tokens;
  if (first === undefined) throw new CommandError('there is no token: give the root token, and each link below it after it');
  return [first, ...rest];
}

async function read(argument: string): Promise<string> {
  if (argument === '-') return new Response(process.stdin as unknown as ReadableStream).text();
  if (argument.split('.').length === 3 && argument.startsWith('ey')) return argument;
  return (await readNamedFile(argument)).toString('utf8');
}
