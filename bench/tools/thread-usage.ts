/**
 * What the threads of processes did, by the kernel's own books (`schedstat`, one clock for all): how long
 * they ran, how long they waited for a processor though they could have run, and how often they woke up.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { table } from './table.ts';

interface ThreadUsage {
  readonly runMs: number;
  readonly waitMs: number;
  readonly wakeUps: number;
}

/** By the thread's name; threads of one name in one process are added up. */
function threadsOf(pid: number): Map<string, ThreadUsage> {
  const found = new Map<string, ThreadUsage>();
  for (const task of read(() => readdirSync(`/proc/${pid}/task`)) ?? []) {
    const path = `/proc/${pid}/task/${task}`;
    const name = read(() => readFileSync(`${path}/comm`, 'utf8').trim());
    const times = read(() => readFileSync(`${path}/schedstat`, 'utf8').split(' ').map(Number));
    const status = read(() => readFileSync(`${path}/status`, 'utf8'));
    if (name === undefined || times === undefined || status === undefined) continue;
    const before = found.get(name) ?? { runMs: 0, waitMs: 0, wakeUps: 0 };
    const woken = Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    found.set(name, {
      runMs: before.runMs + times[0]! / 1e6,
      waitMs: before.waitMs + times[1]! / 1e6,
      wakeUps: before.wakeUps + woken,
    });
  }
  return found;
}

/** A thread may end while it is looked at. */
function read<Value>(look: () => Value): Value | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}

export interface WatchedProcesses {
  readonly name: string;
  readonly pids: readonly number[];
}

/** What the threads of `watched` do from now on; the result is a table of it, for each of `requests`. */
export function watchThreads(watched: readonly WatchedProcesses[]): (requests: number) => string {
  const look = () =>
    watched.map(({ name, pids }) => {
      const all = new Map<string, ThreadUsage>();
      for (const [thread, usage] of pids.flatMap(pid => [...threadsOf(pid)])) {
        all.set(thread, plus(all.get(thread), usage, 1));
      }
      return { name, all };
    });
  const before = look();
  return requests => {
    const rows = look().flatMap(({ name, all }, at) =>
      [...all].flatMap(([thread, usage]) => {
        const { runMs, waitMs, wakeUps } = plus(usage, before[at]!.all.get(thread), -1);
        if (runMs < 1) return [];
        const each = [(1000 * runMs) / requests, (1000 * waitMs) / requests, wakeUps / requests];
        return [[`${name}: ${thread}`, ...each.map(value => value.toFixed(2)), runMs.toFixed(0)]];
      }),
    );
    return table(['thread', 'ran, us a request', 'waited, us', 'woke up', 'ran, ms in all'], rows);
  };
}

function plus(one: ThreadUsage | undefined, other: ThreadUsage | undefined, sign: 1 | -1): ThreadUsage {
  const [first, second] = [one ?? NOTHING, other ?? NOTHING];
  return {
    runMs: first.runMs + sign * second.runMs,
    waitMs: first.waitMs + sign * second.waitMs,
    wakeUps: first.wakeUps + sign * second.wakeUps,
  };
}

const NOTHING: ThreadUsage = { runMs: 0, waitMs: 0, wakeUps: 0 };
