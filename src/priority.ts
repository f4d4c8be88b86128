/** Which of a backend's threads goes first. */
import { readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';

const THREADS = '/proc/self/task';

/** As Node.js calls the threads on which V8 compiles. */
const COMPILER = 'node-V8Worker';

/**
 * Lets V8's compiling threads run when hardly anybody else wants to. There are four of them in each of three
 * backends, and a thread that wakes up waits some 3 ms for one that computes at its own priority: in the
 * first seconds of load, when everything is compiled, that was what payments waited for. Not the lowest
 * priority: they share malloc's one arena with that thread, and a thread that holds its lock must not be kept
 * from letting go of it.
 *
 * Of collecting garbage they must do nothing, since the answering thread would wait for them: see
 * `--single-threaded-gc` in stack/runtime. Does nothing where threads have no such names.
 */
export function letCompilersGiveWay(): void {
  try {
    for (const thread of readdirSync(THREADS)) {
      if (readFileSync(join(THREADS, thread, 'comm'), 'latin1').trim() === COMPILER) {
        // Linux keeps a priority for each thread and takes a thread's number where a process's is asked for.
        setPriority(Number(thread), constants.priority.PRIORITY_BELOW_NORMAL);
      }
    }
  } catch {
    // Not Linux, or not allowed: then they all count the same.
  }
}
