/** A limit to the memory of processes, page cache included, as containers have it. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';

/** Where control groups of memory are made, of version 2 and of version 1, and what is there then. */
const PLACES = [
  { parent: '/sys/fs/cgroup', has: 'cgroup.subtree_control', limit: 'memory.max' },
  { parent: '/sys/fs/cgroup/memory', has: 'memory.limit_in_bytes', limit: 'memory.limit_in_bytes' },
] as const;

export interface MemoryLimit extends Disposable {
  /** From now on the process is limited; what it has already is not counted. */
  add(pid: number): void;
}

/** Undefined where this user may not limit anything. */
export function memoryLimit(bytes: number): MemoryLimit | undefined {
  for (const { parent, has, limit } of PLACES) {
    if (!existsSync(`${parent}/${has}`)) continue;
    const group = `${parent}/soquete-bench-${process.pid}`;
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    try {
      writeFileSync(`${group}/${limit}`, String(bytes));
    } catch {
      rmdirSync(group);
      continue;
    }
    return {
      add: pid => writeFileSync(`${group}/cgroup.procs`, String(pid)),
      [Symbol.dispose]() {
        try {
          rmdirSync(group);
        } catch {
          // Somebody is in it yet: it is empty when they are gone.
        }
      },
    };
  }
  return undefined;
}
