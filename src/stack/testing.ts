/** The real stack for tests: its own ports, its own folder, its own books; gone when the test is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROJECT = join(import.meta.dirname, '../..');
const START_DEADLINE_MS = 20_000;
const POLL_MS = 20;

export interface RunningStack {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  readonly processorUrls: readonly [string, string];
  readonly launcher: ChildProcess;
  /** Everything that the stack wrote to its standard output and its standard error. */
  output(): string;
  /** Sends `signal` to the launcher and waits for its end. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** The pids of the stack's processes that have `text` in their environment; all of them without it. */
  pids(text?: string): number[];
  [Symbol.asyncDispose](): Promise<void>;
}

export interface StackOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** The folder of an earlier stack, to go on with its books; removed at the end all the same. */
  readonly folder?: string;
}

/** Starts the built stack and waits until it is ready. */
export async function startStack(options: StackOptions = {}): Promise<RunningStack> {
  const stack = await launchStack(options);
  const isUp = (): boolean => stack.output().includes('ready on http');
  await until(() => isUp() || stack.launcher.exitCode !== null, 'the stack to be ready', START_DEADLINE_MS);
  if (isUp()) return stack;
  await stack[Symbol.asyncDispose]();
  throw new Error(`the stack did not come up:\n${stack.output()}`);
}

/** Starts the built stack, whether it can come up or not. */
export async function launchStack({ env = {}, folder }: StackOptions = {}): Promise<RunningStack> {
  const home = folder ?? mkdtempSync(join(tmpdir(), 'soquete-'));
  const [port, first, second] = (await freePorts(3)) as [number, number, number];
  const launcher = spawn(process.execPath, [join(PROJECT, 'dist/stack.js')], {
    env: {
      ...process.env,
      PORT: String(port),
      PROCESSOR_DEFAULT_PORT: String(first),
      PROCESSOR_FALLBACK_PORT: String(second),
      RUN_DIR: join(home, 'run'),
      STORE_URL: `sqlite:${join(home, 'data')}`,
      LOG_LEVEL: 'warn',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [launcher.stdout, launcher.stderr]) {
    stream?.setEncoding('utf8').on('data', text => {
      output += text;
    });
  }
  const ended = new Promise<void>(resolve => launcher.once('close', () => resolve()));
  const pids = (text = ''): number[] => pidsWith(`RUN_DIR=${join(home, 'run')}\0`, text);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    folder: home,
    processorUrls: [`http://127.0.0.1:${first}`, `http://127.0.0.1:${second}`],
    launcher,
    output: () => output,
    pids,
    end: async signal => {
      launcher.kill(signal);
      await ended;
      return launcher.exitCode;
    },
    [Symbol.asyncDispose]: async () => {
      for (const pid of pids()) killIfThere(pid);
      await until(() => pids().length === 0, 'the stack to be gone');
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Waits until `holds`, asking again and again. Throws when it does not by the deadline. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms for ${what}`);
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
  }
}

/** Ports that were free a moment ago: all held at once, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>(resolve => server.listen(0, '0.0.0.0', resolve));
      return server;
    }),
  );
  const ports = servers.map(server => (server.address() as { port: number }).port);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}

/** Processes inherit their environment, so it tells which stack they belong to, whoever their parent is now. */
function pidsWith(mark: string, text: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environment = readFileSync(`/proc/${name}/environ`, 'latin1');
      if (environment.includes(mark) && environment.includes(text)) found.push(Number(name));
    } catch {
      // It ended meanwhile, or is somebody else's.
    }
  }
  return found;
}

export function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}
