// CPU time of a process with all its threads, and of each thread, as the operating system counts it.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts in ticks of 10 ms in /proc, whatever the kernel's own. */
const TICK_MICROS = 10_000;
const linux = process.platform === 'linux';

/** User and system time in microseconds since the process started. @throws when there is no such process. */
export function cpuMicros(pid: number): number {
  if (linux) return statMicros(`/proc/${pid}/stat`).micros;
  // [[DD-]HH:]MM:SS.cc
  const time = execFileSync('ps', ['-o', 'time=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  return (
    time
      .split(/[-:]/)
      .reduce((sum, part, at, all) => sum * (all.length - at === 3 && all.length === 4 ? 24 : 60) + Number(part), 0) * 1e6
  );
}

/** Microseconds by thread, largest first; empty where the operating system does not say. */
export function threadMicros(pid: number): Map<number, { name: string; micros: number }> {
  if (!linux) return new Map();
  return new Map(readdirSync(`/proc/${pid}/task`).map((tid) => [Number(tid), statMicros(`/proc/${pid}/task/${tid}/stat`)]));
}

function statMicros(file: string): { name: string; micros: number } {
  const stat = readFileSync(file, 'latin1');
  // The name may hold anything, so the fields are counted from its closing parenthesis: utime and stime are 14 and 15.
  const close = stat.lastIndexOf(')');
  const fields = stat.slice(close + 2).split(' ');
  return { name: stat.slice(stat.indexOf('(') + 1, close), micros: (Number(fields[11]) + Number(fields[12])) * TICK_MICROS };
}
