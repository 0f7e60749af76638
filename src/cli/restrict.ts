// `revoke` and `narrow`: what an operator, an administrator or the holder of an issuer's key takes away.

import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import { readPrivateKey } from '../crypto/private-key.ts';
import { findAgentFile, type HomeFiles, homeFiles } from '../operator/home.ts';
import { homeAuthor } from '../operator/restriction-author.ts';
import {
  RestrictionError,
  type RestrictionTarget,
  TARGET_KINDS,
  type TargetKind,
  THUMBPRINT_URN,
} from '../restrictions/restriction.ts';
import { type RestrictionAuthor, type RestrictionEffect, signRestriction } from '../restrictions/sign-restriction.ts';
import { reopenRestriction } from '../restrictions/verify-restriction.ts';
import { readSecret } from '../serve/secret.ts';
import { UnknownDid } from '../vault/did-document.ts';
import { didKeyOf } from '../vault/did-key.ts';
import { locationOfDidWebvh } from '../vault/did-location.ts';
import { resolveSelfDescribing } from '../vault/self-describing-did.ts';
import { addGrantOptions, type GrantOptions, readDetails, saysGrant } from './grant-options.ts';
import { addHomeOptions } from './home-options.ts';
import { CommandError, EXIT, print, readNamedFile, UsageError } from './output.ts';
import { addPlaceOptions, openPlace, type PlaceOptions, type RestrictionPlace } from './restriction-place.ts';

export interface RestrictOptions extends PlaceOptions {
  before?: number;
  reason: string;
  key?: string;
  by?: string;
  chain?: string;
  wait?: boolean;
}

export type NarrowOptions = RestrictOptions & GrantOptions & { lift?: string };

/** How long `--wait` waits: longer than a gateway that hears nothing goes on allowing. */
const WAIT_MILLIS = 15_000;

export function addRestrictCommands(program: Command): void {
  const revoke = program
    .command('revoke')
    .summary('take something away for good: an agent, key, token, session …')
    .description(
      'Signs a revocation and puts it in force. It counts for every chain with what is named in any of its links, those minted offline and never seen included. It is for good.',
    )
    .addArgument(kind())
    .argument('<id>', "DID (of an agent also its name in the home), key thumbprint, the token's jti, sid, or task");
  addRestrictionOptions(revoke)
    .addHelpText(
      'after',
      "\nExamples:\n  hermesbridge revoke agent reader --reason 'laptop stolen' --wait\n  hermesbridge revoke token b0pE… --key operator.jwk --store run/hermesbridge.db\n  hermesbridge revoke operator did:webvh:…:acme --before now\n\nExits with 1 when it is not taken, or when --wait finds a gateway without it.",
    )
    .action((target: TargetKind, id: string, options: RestrictOptions) => restrict(options, { effect: 'revoke' }, target, id));
  const narrow = program
    .command('narrow')
    .summary('let something do less, until that is lifted')
    .description(
      'Signs a narrowing and puts it in force: chains with what is named in any of their links may do no more than this allows, whatever else they say. A request must name a model that --model covers, so list what stays allowed.',
    )
    .addArgument(kind().argOptional())
    .argument('[id]', "DID (of an agent also its name in the home), key thumbprint, the token's jti, sid, or task");
  addGrantOptions(addRestrictionOptions(narrow))
    .addOption(new Option('--lift <restriction>', 'end the narrowing with this id instead'))
    .addHelpText(
      'after',
      "\nExamples:\n  hermesbridge narrow agent reader --action chat --model 'openai/gpt-5-nano' --no-tools\n  hermesbridge narrow --lift V4xy…\n\nExits with 1 when it is not taken, or when --wait finds a gateway without it.",
    )
    .action(narrowOrLift);
}

function kind(): Argument {
  return new Argument('<kind>', 'what it is').choices(TARGET_KINDS);
}

export function addRestrictionOptions(command: Command): Command {
  return addHomeOptions(
    addPlaceOptions(command)
      .option('--before <time>', 'only for chains whose root was issued before: 2026-05-04T10:00:00Z, or now', time)
      .option('--reason <text>', 'for the record, at most 256 characters', '')
      .option('--key <file>', 'sign with this key instead of the home’s')
      .option('--by <did-url>', 'DID URL of --key; by default it stands for its did:key')
      .option('--chain <file>', 'with --key, sign as the issuer of a link: a file with a chain that binds the key')
      .option('--wait', 'return when every live gateway has it in force'),
  );
}

async function narrowOrLift(target: TargetKind | undefined, id: string | undefined, options: NarrowOptions): Promise<void> {
  if (options.lift !== undefined) {
    if (target !== undefined || saysGrant(options) || options.before !== undefined)
      throw new UsageError('--lift takes the id of a narrowing and nothing else of what it said');
    return restrict(options, { effect: 'lift', lifts: options.lift });
  }
  if (target === undefined || id === undefined)
    throw new UsageError('name what to narrow: narrow <kind> <id>, or --lift <restriction>');
  if (!saysGrant(options)) throw new UsageError('say what stays allowed, with --action, --model … or --details FILE');
  return restrict(options, { effect: 'narrow', details: await readDetails(options) }, target, id);
}

/** Signs it, puts it in force and says so. */
export async function restrict(
  options: RestrictOptions,
  effect: RestrictionEffect,
  kindOfTarget?: TargetKind,
  id = '',
): Promise<void> {
  const { author, chain } = await authorOf(options);
  const place = await openPlace(options);
  try {
    if (options.wait && place.acknowledged === undefined)
      throw new UsageError(`--wait needs a vault: the gateway on ${place.name} has it within a moment`);
    const target =
      effect.effect === 'lift' ? await liftedTarget(effect.lifts, place) : await targetOf(kindOfTarget ?? 'token', id, options);
    const { before, reason } = options;
    const at = Math.floor(Date.now() / 1000);
    const compact = sign({ ...effect, target, before, at, reason }, author);
    const added = await place.add(compact, chain);
    const waited = options.wait && place.acknowledged ? await waitFor(added.sequence, place.acknowledged) : undefined;
    const verb = { revoke: 'revoked', narrow: 'narrowed', lift: 'lifted the narrowing of' }[effect.effect];
    const text = [`${verb} ${target.kind} ${target.value}`, `restriction ${added.id}, number ${added.sequence} of ${place.name}`];
    // A vault refuses those who have no say; a store keeps what it is told.
    if (place.acknowledged === undefined) text.push(`counts ${whereItCounts(reopenRestriction(compact).by)}`);
    print(options, { ...added, ...waited }, [...text, ...(waited ? [waited.text] : [])].join('\n'));
    if (waited?.acknowledged === false) process.exitCode = EXIT.no;
  } finally {
    await place.close();
  }
}

function whereItCounts(by: string): string {
  if (by.startsWith(THUMBPRINT_URN)) return 'for what stands below this key in a chain';
  return `for chains of the operator ${by}, and for all where the gateway lists that DID as an administrator`;
}

function sign(...statement: Parameters<typeof signRestriction>): string {
  try {
    return signRestriction(...statement);
  } catch (error) {
    if (error instanceof RestrictionError) throw new UsageError(error.message);
    throw error;
  }
}

export async function authorOf({
  key: file,
  by,
  chain,
  home,
}: Pick<RestrictOptions, 'key' | 'by' | 'chain' | 'home'>): Promise<{ author: RestrictionAuthor; chain?: readonly string[] }> {
  if (file === undefined) {
    if (by !== undefined || chain !== undefined) throw new UsageError('--by and --chain say whose --key it is');
    return { author: (await homeAuthor(homeFiles(home), Date.now())).author };
  }
  if (by !== undefined && chain !== undefined)
    throw new UsageError('--by signs as a DID, --chain as the issuer of a link: leave one out');
  const key = readPrivateKey(await readSecret({ file }, '--key'));
  if (chain !== undefined) {
    const tokens = (await readNamedFile(chain))
      .toString('utf8')
      .split(/\s+/)
      .filter((token) => token !== '');
    return { author: { key, keyId: undefined }, chain: tokens };
  }
  const keyId = by ?? resolveSelfDescribing(didKeyOf(key.publicKey)).verificationMethods[0]?.id;
  if (keyId?.includes('#') !== true) throw new UsageError('--by must be a DID URL: did:…#key-1');
  return { author: { key, keyId } };
}

async function targetOf(kindOfTarget: TargetKind, id: string, { home }: RestrictOptions): Promise<RestrictionTarget> {
  warnOfImpossible(kindOfTarget, id);
  if (kindOfTarget !== 'agent' || id.startsWith('did:')) return { kind: kindOfTarget, value: id };
  const files: HomeFiles = homeFiles(home);
  const agent = /^[a-z0-9-]+$/.test(id) ? await findAgentFile(files.agent(id)) : undefined;
  if (agent === undefined) throw new CommandError(`"${id.slice(0, 80)}" is neither a DID nor an agent of ${files.directory}`);
  return { kind: kindOfTarget, value: agent.did };
}

/** What no chain can name is taken all the same and changes nothing: a slip that would look like success. */
function warnOfImpossible(kindOfTarget: TargetKind, id: string): void {
  const why = whyImpossible(kindOfTarget, id);
  if (why !== undefined)
    process.stderr.write(`hermesbridge: no chain can name this ${kindOfTarget}: ${why}; is it spelled right?\n`);
}

function whyImpossible(kindOfTarget: TargetKind, id: string): string | undefined {
  if (kindOfTarget === 'token') return JTI.test(id) ? undefined : 'a jti has 22 characters or more';
  if (!id.startsWith('did:') || (kindOfTarget !== 'agent' && kindOfTarget !== 'operator')) return undefined;
  try {
    if (id.startsWith('did:webvh:')) locationOfDidWebvh(id);
    if (id.startsWith('did:key:') || id.startsWith('did:jwk:')) resolveSelfDescribing(id);
    return undefined;
  } catch (error) {
    if (error instanceof UnknownDid) return error.message;
    throw error;
  }
}

const JTI = /^[!-~]{22,}$/;

async function liftedTarget(id: string, place: RestrictionPlace): Promise<RestrictionTarget> {
  const compact = await place.find(id);
  const found = compact === undefined ? undefined : reopenRestriction(compact);
  if (found === undefined) throw new CommandError(`${place.name} has no restriction with the id ${id.slice(0, 80)}`);
  if (found.effect !== 'narrow') throw new CommandError('that is no narrowing: a revocation is for good');
  return found.target;
}

async function waitFor(sequence: number, acknowledged: NonNullable<RestrictionPlace['acknowledged']>) {
  const started = performance.now();
  for (;;) {
    const left = WAIT_MILLIS - (performance.now() - started);
    const found = await acknowledged(sequence, Math.max(0, Math.min(5, Math.floor(left / 1000))));
    const millis = Math.round(performance.now() - started);
    const { followers, missing } = found;
    if (found.acknowledged)
      return { acknowledged: true, followers, missing, millis, text: `in force at ${followers} gateways after ${millis} ms` };
    if (left < 1000)
      return {
        acknowledged: false,
        followers,
        missing,
        millis,
        text: `not in force yet at ${missing.length} of ${followers} gateways: ${missing.join(', ')}`,
      };
  }
}

/** @returns seconds since the epoch */
function time(text: string): number {
  const at = text === 'now' ? Date.now() : Date.parse(text);
  if (Number.isNaN(at) || (text !== 'now' && !/^\d{4}-/.test(text)))
    throw new InvalidArgumentError('must be a time such as 2026-05-04T10:00:00Z, or now');
  return Math.ceil(at / 1000);
}
