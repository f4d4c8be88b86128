/** What this process may have of memory, and what it has. */
import { readFileSync } from 'node:fs';
import type { ProcessMemory } from './payments/memory-reserve.ts';

/** Without a limit the kernel names one that no machine has. */
const NO_LIMIT = 2 ** 50;

/** The limit of this process' control group; undefined where it has none. */
export function memoryOfProcess(limitBytes = process.constrainedMemory()): ProcessMemory | undefined {
  const hasLimit = limitBytes > 0 && limitBytes < NO_LIMIT;
  return hasLimit
    ? { limitBytes, used: anonymousBytes, collect: globalThis.gc && (() => globalThis.gc!()) }
    : undefined;
}

/** What the kernel cannot read again from a file; undefined where it does not say. */
function anonymousBytes(): number | undefined {
  let status: string;
  try {
    status = readFileSync('/proc/self/status', 'latin1');
  } catch {
    // No descriptor to spare, or not Linux.
    return undefined;
  }
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(status);
  return found === null ? undefined : Number(found[1]) * 1024;
}
