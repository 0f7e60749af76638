// Where long work stands, on standard error, with an estimate of when it is done.

const EVERY_MILLIS = 10_000;

export type Progress = (done: number) => void;

export function startProgress(what: string, total: number): Progress {
  const startedAt = performance.now();
  let saidAt = startedAt;
  return (done) => {
    const now = performance.now();
    if (now - saidAt < EVERY_MILLIS || done === 0) return;
    saidAt = now;
    const left = ((now - startedAt) / done) * (total - done);
    process.stderr.write(`${what}: ${done} of ${total}, about ${Math.ceil(left / 1000)} s left\n`);
  };
}
