/**
 * The processes that a test or a measurement starts, and the folder in which they meet: whatever happens,
 * they are gone afterwards. They are ended by their own ids; nothing else on the machine is touched.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accepts, type ServiceAddress } from '../stack/ready.ts';
import { findProgram } from '../stack/settings.ts';
import { until } from './until.ts';

/** After this a process that was asked to end is made to. */
const GRACE_MS = 15_000;
const READY_MS_MAX = 90_000;
/** What is measured should not wait for a poll. */
const READY_POLL_MS = 5;

export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  /** By the monotonic clock. */
  readonly startedAtMs: number;
  /** All that it wrote so far, to either output. */
  readonly said: () => string;
  /** Its status, once nobody writes to its outputs any more; null when a signal ended it. */
  readonly exited: Promise<number | null>;
  readonly hasExited: () => boolean;
}

/** Those whose processes and folder are not gone yet. */
const undisposed = new Set<ChildProcesses>();
let isExitWatched = false;

export class ChildProcesses implements AsyncDisposable {
  readonly directory: string;
  readonly #running = new Map<ChildProcess, RunningProcess>();

  constructor(directory = mkdtempSync(join(tmpdir(), 'soquete-'))) {
    this.directory = directory;
    undisposed.add(this);
    watchExit();
  }

  spawn(
    name: string,
    command: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): RunningProcess {
    const startedAtMs = performance.now();
    const process_ = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    let said = '';
    for (const stream of [process_.stdout, process_.stderr]) {
      stream.setEncoding('utf8').on('data', text => {
        said += text;
      });
    }
    const exited = new Promise<number | null>((resolve, reject) => {
      process_.once('error', reject);
      process_.once('close', code => {
        this.#running.delete(process_);
        resolve(code);
      });
    });
    exited.catch(() => undefined);
    if (process_.pid === undefined) throw new Error(`${name}: ${command} cannot be started`);
    const child: RunningProcess = {
      name,
      pid: process_.pid,
      startedAtMs,
      said: () => said,
      exited,
      hasExited: () => !this.#running.has(process_),
    };
    this.#running.set(process_, child);
    return child;
  }

  /** Ends everything, in the order opposite to that of starting, and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [process_, { exited }] of [...this.#running].reverse()) {
      process_.kill('SIGTERM');
      const timer = setTimeout(() => process_.kill('SIGKILL'), GRACE_MS);
      await exited.catch(() => undefined);
      clearTimeout(timer);
    }
    this.#remove();
  }

  /** For when there is no time left to wait. */
  endNow(): void {
    for (const process_ of this.#running.keys()) process_.kill('SIGKILL');
    this.#remove();
  }

  #remove(): void {
    undisposed.delete(this);
    // What they started may end a moment later, and may write until then.
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

function watchExit(): void {
  if (isExitWatched) return;
  isExitWatched = true;
  process.once('exit', () => {
    for (const children of undisposed) children.endNow();
  });
  // A signal alone would not let `exit` handlers run.
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
}

/** Asks `holds` again and again until it says yes; fails at once if `child` ends before that. */
export async function untilReady(
  child: RunningProcess,
  holds: () => Promise<boolean> | boolean,
  deadlineMs = READY_MS_MAX,
): Promise<void> {
  const what = () => `${child.name} to be ready:\n${child.said()}`;
  await until(() => child.hasExited() || holds(), what, deadlineMs, READY_POLL_MS);
  if (child.hasExited()) throw new Error(`${child.name} ended:\n${child.said()}`);
}

/** Waits until something listens there; fails at once if `child` ends before that. */
export const listening = (child: RunningProcess, address: ServiceAddress): Promise<void> =>
  untilReady(child, () => accepts(address));

/** Sends a signal to a process that may have ended meanwhile. Whether it was there. */
export function signalIfThere(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Where a program of this name is; undefined where it is not installed. */
export const program = (name: string): string | undefined => findProgram(name, process.env['PATH']);
