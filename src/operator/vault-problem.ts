// What the vault refused (RFC 9457), in words that say what to do.

import { z } from 'zod';
import { OperatorError } from './operator-error.ts';

/** An answer of the vault that is no success. */
export class VaultRefusal extends OperatorError {
  readonly status: number;
  /** Last part of the problem's `type`, e.g. `stale-version`; empty where it has none. */
  readonly problem: string;

  constructor(message: string, status: number, problem: string) {
    super(message);
    this.status = status;
    this.problem = problem;
  }
}

/** The vault cannot be reached, or cannot answer now. */
export class VaultUnavailable extends OperatorError {}

const text = z.string().optional().catch(undefined);
const problemDetails = z.looseObject({
  type: text,
  title: text,
  detail: text,
  errors: z
    .array(z.looseObject({ field: text, pointer: text, detail: text }))
    .optional()
    .catch(undefined),
});

const ADVICE: Readonly<Record<number, string>> = {
  401: "the vault did not accept this home's signature: see that the clock is right, and with `operator show` that the signing key is current",
  403: 'the operator of the vault must name this operator in control.operators, and the agent must be its own',
  404: 'nothing is registered there: see `agent list`; an operator is registered with `operator publish`',
  413: 'the entry is too large for this vault',
  429: 'the vault is asked too often: try again later',
};

export function refusalOf(what: string, status: number, body: Buffer): VaultRefusal {
  const { type = '', title, detail, errors = [] } = readProblem(body);
  const fields = errors.map(({ field, pointer, detail: why }) => `${printable(field ?? pointer ?? '')}: ${printable(why ?? '')}`);
  const said = [title, detail === title ? undefined : detail].filter((part) => part !== undefined).map(printable);
  const problem = type.split(/[/:#]/).at(-1) ?? '';
  // Nothing that is registered was asked for.
  const advice = problem === 'sightings-off' ? undefined : ADVICE[status];
  const parts = [`${what}: the vault answered ${status}`, ...said, ...fields, ...(advice ? [advice] : [])];
  return new VaultRefusal(parts.join('; '), status, problem);
}

function readProblem(body: Buffer): z.infer<typeof problemDetails> {
  try {
    return problemDetails.parse(JSON.parse(body.toString('utf8')));
  } catch {
    return {};
  }
}

/** The vault is not trusted with the terminal. */
export function printable(value: string): string {
  return value.replace(/\p{C}/gu, '?').slice(0, 500);
}
