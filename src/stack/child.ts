/**
 * A process that the launcher keeps alive: started again when it ends, at once at first and after growing
 * pauses if it keeps ending.
 *
 * Each child is a process group of its own, so Ctrl-C reaches the launcher alone and the launcher says who
 * stops when. Its standard input is a pipe that only the launcher holds: when the launcher is gone, however
 * it went, the input ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * A child that ends with this status has a setting that it cannot use; starting it again would not mend that.
 */
export const MISCONFIGURED = 78;

/** A child that lived this long was well: when it ends, its pauses begin anew. */
const WELL_AFTER_MS = 10_000;
/** Lines that come after a longer silence belong to something else than those before. */
const SILENCE_MS = 1_000;
const LAST_WORDS_MAX = 10;
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5_000;

export interface Command {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** The folder to run in; the launcher's where there is none. */
  readonly cwd?: string;
  /** Stops the child without breaking off what it has begun. */
  readonly stopSignal: NodeJS.Signals;
  /** Whether its standard output goes where the launcher's goes; else it is dropped. */
  readonly speaks: boolean;
}

export interface End {
  readonly name: string;
  /** As a person says it: `with status 1`, `by SIGKILL`. */
  readonly how: string;
  readonly status: number | null;
  /**
   * The first of the lines that it wrote to its standard error at last: the reason stands before its trace.
   */
  readonly lastWords: readonly string[];
}

/** How long to wait before the next start, after a child that had waited `pauseMs` lived for `livedMs`. */
export function nextPauseMs(pauseMs: number | undefined, livedMs: number): number {
  if (pauseMs === undefined || livedMs >= WELL_AFTER_MS) return 0;
  return Math.min(Math.max(pauseMs * 2, PAUSE_MIN_MS), PAUSE_MAX_MS);
}

export class SupervisedProcess {
  readonly name: string;
  readonly #command: Command;
  readonly #onEnd: (end: End, pauseMs: number) => void;
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #pauseMs: number | undefined;
  #stopping = false;

  /**
   * `onEnd` hears of every end that was not asked for, before the child is started again; it may call `stop`.
   */
  constructor(command: Command, onEnd: (end: End, pauseMs: number) => void) {
    this.name = command.name;
    this.#command = command;
    this.#onEnd = onEnd;
    this.#start();
  }

  /** Asks it to stop and waits; kills its whole group when it has not stopped after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#process?.kill(this.#command.stopSignal);
    const killer = setTimeout(() => this.kill(), graceMs);
    await this.#ended;
    clearTimeout(killer);
  }

  /** Ends it and whatever it started, now. */
  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const { pid } = this.#process ?? {};
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // Expected: it is gone already.
    }
  }

  #start(): void {
    const { file, args, env, cwd, speaks } = this.#command;
    const startedAt = performance.now();
    const lastWords: string[] = [];
    const child = spawn(file, args, {
      env,
      cwd,
      detached: true,
      stdio: ['pipe', speaks ? 'inherit' : 'pipe', 'pipe'],
    });
    this.#process = child;
    // It may be gone before the pipe is: that is no news, its end is.
    child.stdin?.on('error', () => {});
    child.stdout?.resume();
    let wordAt = 0;
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', line => {
      const now = performance.now();
      if (now - wordAt > SILENCE_MS) lastWords.length = 0;
      wordAt = now;
      if (lastWords.length < LAST_WORDS_MAX && !isNoise(line)) lastWords.push(line);
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    let failure = '';
    child.on('error', error => {
      failure = error.message;
      if (child.pid === undefined) child.emit('close', null, null);
    });
    child.once('close', (status, signal) => {
      child.stdin?.destroy();
      this.#process = undefined;
      if (!this.#stopping)
        this.#again(performance.now() - startedAt, howIt(failure, status, signal), status, lastWords);
      resolve();
    });
  }

  #again(livedMs: number, how: string, status: number | null, lastWords: readonly string[]): void {
    this.#pauseMs = nextPauseMs(this.#pauseMs, livedMs);
    this.#onEnd({ name: this.name, how, status, lastWords }, this.#pauseMs);
    if (this.#stopping) return;
    this.#timer = setTimeout(() => this.#start(), this.#pauseMs);
  }
}

/** Empty lines, and where in the code something was thrown. */
const isNoise = (line: string): boolean => /^\s*(at .*|\^+)?$/.test(line);

function howIt(failure: string, status: number | null, signal: NodeJS.Signals | null): string {
  if (failure !== '') return `before it began (${failure})`;
  return signal === null ? `with status ${status}` : `by ${signal}`;
}

/**
 * Runs a program that does not watch its standard input under a shell that does it for it: when the input
 * ends, the program is told to stop. The shell passes signals on, and ends as the program ends.
 */
export function guarded(file: string, args: readonly string[]): { file: string; args: string[] } {
  return { file: '/bin/sh', args: ['-c', GUARD, 'guard', file, ...args] };
}

const GUARD = `
exec 3<&0 </dev/null
child= asked=
pass() { asked=$1; [ -z "$child" ] || kill -$1 $child; }
trap 'pass TERM' TERM INT HUP
trap 'pass USR1' USR1
"$@" 3<&- & child=$!
# A signal that came while there was no child to pass it to.
[ -z "$asked" ] || kill -$asked $child
{ cat <&3; kill -TERM $child; } >/dev/null 2>&1 & watch=$!
exec 3<&-
wait $child; status=$?
# A signal that was passed on has ended the wait, not the program.
while kill -0 $child 2>/dev/null; do wait $child; status=$?; done
kill $watch 2>/dev/null
exit $status
`;
