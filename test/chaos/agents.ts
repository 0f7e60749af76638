// Who asks in a run: agents under did:key, agents whose documents are fetched, those that will be revoked, and one who is.

import { mintRoot, newHolder } from '../attacks/attacker.ts';
import { publishWeb } from '../attacks/identity-documents.ts';
import type { Site } from '../attacks/own-site.ts';
import type { TrafficAgent } from './traffic-protocol.ts';

export const AGENTS = { lasting: 6, web: 3, doomed: 6 } as const;
export const REVOKED = 'revoked';

export interface Cast {
  readonly operator: ReturnType<typeof newHolder>;
  readonly agents: readonly TrafficAgent[];
  readonly stranger: TrafficAgent;
}

export function makeCast(site: Site | undefined): Cast {
  const operator = newHolder();
  const agent = (name: string, weight: number, holder = newHolder()): TrafficAgent => {
    return { name, holder, token: mintRoot(operator, holder), weight };
  };
  const several = (count: number, make: (at: number) => TrafficAgent) => Array.from({ length: count }, (_, at) => make(at));
  const agents = [
    ...several(AGENTS.lasting, (at) => agent(`agent-${at}`, 3)),
    ...(site === undefined ? [] : several(AGENTS.web, (at) => agent(`web-${at}`, 1, publishWeb(site, operator.did)))),
    ...several(AGENTS.doomed, (at) => agent(`doomed-${at}`, 1)),
    agent(REVOKED, 2),
  ];
  const holder = newHolder();
  return { operator, agents, stranger: { name: 'stranger', holder, token: mintRoot(newHolder(), holder), weight: 0 } };
}
