// `agent rotate`: a new key for an agent while it works, and the wait for the end of the old one.

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { Algorithm } from '../crypto/public-key.ts';
import { dateTime } from '../operator/did-state.ts';
import type { OperatorTools } from '../operator/operator-tools.ts';
import { type AgentRotation, finishRotation, overlapEnd, rotateAgent } from '../operator/rotate-agent.ts';
import {
  type AgentGrantOptions,
  addAgentGrantOptions,
  capabilityLines,
  capabilityView,
  givenGrant,
  readKeyOption,
} from './agent-options.ts';
import { durationOrNone } from './grant-options.ts';
import { addHomeOptions, type HomeOptions, operatorTools } from './home-options.ts';
import { algorithmOption, keyView } from './operator.ts';
import { EXIT, print } from './output.ts';

interface RotateOptions extends HomeOptions, AgentGrantOptions {
  overlap: number;
  /** `--no-wait` makes it false. */
  wait: boolean;
  finish?: boolean;
  algorithm?: Algorithm;
  key?: string;
}

/** The old key's end, by a gateway whose clock is a little behind. */
const MARGIN_MILLIS = 1000;
const REPORT_MILLIS = 60_000;

export function addRotateCommand(agent: Command): void {
  const rotating = addHomeOptions(agent.command('rotate'))
    .summary('replace the key of an agent')
    .description(
      'Publishes a new key while the old one holds on, puts the new key and a new capability where the sidecar reads them, waits for the overlap to end, and drops the old key. No request fails meanwhile. A run that was cut short is repeated with the same command.',
    )
    .argument('<name>', 'the agent')
    .addOption(
      new Option(
        '--overlap <duration>',
        'how long the old key still holds; 0s ends it, and any other, at once: for a key that was stolen',
      )
        .argParser(durationOrNone)
        .default(durationOrNone('10m'), '10m'),
    )
    .option(
      '--no-wait',
      'do not wait for the overlap to end: the old key ends by itself, and --finish takes it out of the document',
    )
    .option('--finish', 'make no new key: wait for the overlap of the rotation under way to end, and drop the old key')
    .addOption(algorithmOption('algorithm of the new key; that of the old one by default'))
    .option(
      '--key <file>',
      'the new key of an agent whose key is kept elsewhere, JWK (public or private) or PEM; without it, --algorithm has one made here',
    );
  addAgentGrantOptions(rotating)
    .addHelpText('after', '\nExample:\n  hermesbridge agent rotate reader --overlap 10m')
    .action(rotate);
}

async function rotate(name: string, options: RotateOptions): Promise<void> {
  const tools = operatorTools(options);
  if (options.finish) return finish(name, options, undefined, tools);
  const { overlap: overlapSeconds, algorithm } = options;
  const key = await readKeyOption(options.key);
  const rotation = await rotateAgent({ name, overlapSeconds, algorithm, key, grant: await givenGrant(options) }, tools);
  if (rotation.old.length === 0) return report(name, options, rotation, { finished: true, versionId: rotation.versionId });
  return finish(name, options, rotation, tools);
}

async function finish(
  name: string,
  options: RotateOptions,
  rotation: AgentRotation | undefined,
  tools: OperatorTools,
): Promise<void> {
  const end = (await overlapEnd(name, tools)) ?? 0;
  const goOn = `hermesbridge agent rotate ${name} --finish`;
  if (tools.clock() < end) {
    if (!options.wait) {
      tools.onProgress(`the old key holds until ${dateTime(end)}; after that, take it out of the document: ${goOn}`);
      return report(name, options, rotation, { finished: false });
    }
    if (!(await waitUntil(end + MARGIN_MILLIS, tools))) {
      tools.onProgress(
        `interrupted. The new key is in use, and the old one ends at ${dateTime(end)} by itself; to take it out of the document: ${goOn}`,
      );
      report(name, options, rotation, { finished: false });
      process.exitCode = EXIT.no;
      return;
    }
  }
  const { versionId, dropped, did } = await finishRotation(name, tools);
  report(name, options, rotation, { finished: true, did, versionId, dropped });
}

/** @returns false when a signal came first */
async function waitUntil(end: number, { clock, onProgress }: OperatorTools): Promise<boolean> {
  const over = new AbortController();
  const { signal } = over;
  const signals = ['SIGINT', 'SIGTERM'].map((name) => once(process, name, { signal }).then(() => false));
  const waiting = async () => {
    for (let left = end - clock(); left > 0; left = end - clock()) {
      onProgress(`waiting ${Math.ceil(left / 1000)} s for the overlap to end, at ${dateTime(end)}`);
      await sleep(Math.min(left, REPORT_MILLIS), undefined, { signal });
    }
    return true;
  };
  try {
    return await Promise.race([waiting(), ...signals]);
  } finally {
    over.abort();
  }
}

interface End {
  readonly finished: boolean;
  readonly did?: string;
  readonly versionId?: string;
  readonly dropped?: readonly string[];
}

function report(name: string, options: RotateOptions, rotation: AgentRotation | undefined, end: End): void {
  const { dropped = [] } = end;
  const did = rotation?.did ?? end.did;
  const versionId = end.versionId ?? rotation?.versionId;
  const value = {
    name,
    did,
    versionId,
    ...(rotation && { key: keyView(rotation.key), old: rotation.old.map(keyView), keyFile: rotation.keyFile ?? null }),
    ...(rotation?.capability && capabilityView(rotation.capability)),
    dropped,
    finished: end.finished,
  };
  const text = [
    ...(did === undefined ? [] : [`agent       ${did}`]),
    ...(versionId === undefined ? [] : [`version     ${versionId}`]),
    ...(rotation === undefined ? [] : [`new key     ${rotation.key.id}${rotation.keyFile ? ` in ${rotation.keyFile}` : ''}`]),
    ...(rotation?.capability ? capabilityLines(rotation.capability) : []),
    ...dropped.map((id) => `dropped     ${id}`),
    end.finished ? 'finished' : 'not finished: the old key still holds',
  ];
  print(options, value, text.join('\n'));
}
