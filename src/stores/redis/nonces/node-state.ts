// What a Redis says of itself, and whether nonces may be trusted to it: it must neither throw keys away to make room, nor take
// writes that nobody else has once it was replaced.

export interface NodeState {
  /** Another one each time that the server starts. */
  readonly runId: string;
  /** What is wrong with its configuration and what to do, if anything is. */
  readonly problem: string | undefined;
}

/** @param info the answer to INFO @param replaceable whether another node may take its place: Sentinel and Cluster */
export function readNodeState(info: string, replaceable: boolean): NodeState {
  const facts = new Map(info.split(/\r?\n/).map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
  const runId = facts.get('run_id') ?? '';
  const policy = facts.get('maxmemory_policy');
  // Without a limit nothing is evicted, whatever the policy says; but limits are set at run time.
  if (policy !== 'noeviction' && facts.get('maxmemory') !== '0') {
    const problem = `it evicts keys when its memory is full (maxmemory-policy ${policy}): set maxmemory-policy noeviction`;
    return { runId, problem };
  }
  // Only shown where it is set.
  if (replaceable && !facts.has('min_slaves_good_slaves')) {
    const problem =
      'a primary that was replaced would go on taking writes: set min-replicas-to-write 1 and a min-replicas-max-lag';
    return { runId, problem };
  }
  return { runId, problem: runId === '' ? 'it does not tell its run_id: allow INFO' : undefined };
}
