/**
 * The processes that a measurement starts, and the directory in which they meet: whatever happens, they are
 * gone afterwards. They are ended by their own ids; nothing else on the machine is touched.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** After this a process that was asked to end is made to. */
const PATIENCE_MS = 15_000;

export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  /** What it wrote last, for when it fails. */
  readonly said: () => string;
  readonly exited: Promise<number | null>;
}

export class Children implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'soquete-bench-'));
  readonly #processes = new Map<ChildProcess, RunningProcess>();
  readonly #lastWish = (): void => {
    for (const process of this.#processes.keys()) process.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  };

  constructor() {
    process.once('exit', this.#lastWish);
    endOnSignals();
  }

  spawn(
    name: string,
    command: string,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): RunningProcess {
    const process_ = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    let said = '';
    const hear = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-4_000);
    };
    process_.stdout.on('data', hear);
    process_.stderr.on('data', hear);
    const exited = new Promise<number | null>((resolve, reject) => {
      process_.once('error', reject);
      process_.once('exit', code => {
        this.#processes.delete(process_);
        resolve(code);
      });
    });
    exited.catch(() => undefined);
    if (process_.pid === undefined) throw new Error(`${name}: ${command} cannot be started`);
    const child = { name, pid: process_.pid, said: () => said, exited };
    this.#processes.set(process_, child);
    return child;
  }

  /** The processes that run now. */
  get running(): RunningProcess[] {
    return [...this.#processes.values()];
  }

  /** Ends everything, in the order opposite to that of starting, and removes the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [process, { exited }] of [...this.#processes].reverse()) {
      process.kill('SIGTERM');
      const timer = setTimeout(() => process.kill('SIGKILL'), PATIENCE_MS);
      await exited.catch(() => undefined);
      clearTimeout(timer);
    }
    process.off('exit', this.#lastWish);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

let signalsAreHeard = false;

/** A signal alone would not let `exit` handlers run. */
function endOnSignals(): void {
  if (signalsAreHeard) return;
  signalsAreHeard = true;
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
}

/** Waits until something listens there; fails at once if `child` ends before that. */
export async function listening(
  where: NetConnectOpts,
  child: RunningProcess,
  patienceMs = 20_000,
): Promise<void> {
  await untilReady(child, patienceMs, () => {
    return new Promise<boolean>(resolve => {
      const socket = connect(where);
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
  });
}

/** Asks `holds` again and again until it says yes; fails at once if `child` ends before that. */
export async function untilReady(
  child: RunningProcess,
  patienceMs: number,
  holds: () => Promise<boolean> | boolean,
): Promise<void> {
  const giveUpAt = performance.now() + patienceMs;
  let ended = false;
  const end = (): void => {
    ended = true;
  };
  child.exited.then(end, end);
  while (!(await holds())) {
    if (ended) throw new Error(`${child.name} ended:\n${child.said()}`);
    if (performance.now() > giveUpAt) throw new Error(`${child.name} is not ready:\n${child.said()}`);
    await sleep(5);
  }
}

/** A TCP port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** An ordinary user's PATH on Debian lacks the folders where servers are installed. */
const SERVER_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];

/** Where a program of this name is; undefined where it is not installed. */
export function program(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SERVER_FOLDERS];
  return folders
    .filter(folder => folder !== '')
    .map(folder => join(folder, name))
    .find(file => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
