/** The real stack for tests: its own ports, its own folder, its own books; gone when the test is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accepts } from '../stack/ready.ts';
import { readSettings } from '../stack/settings.ts';

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
  /** A command that runs the one behind it. */
  readonly under?: readonly string[];
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
export async function launchStack({
  env = {},
  folder,
  under = [],
}: StackOptions = {}): Promise<RunningStack> {
  const home = folder ?? mkdtempSync(join(tmpdir(), 'soquete-'));
  const [free, first, second] = (await freePorts(3)) as [number, number, number];
  const port = Number(env['PORT'] ?? free);
  const [file, ...args] = [...under, process.execPath, join(PROJECT, 'dist/stack.js')];
  const launcher = spawn(file!, args, {
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
    processorUrls: [
      env['PROCESSOR_DEFAULT_URL'] ?? `http://127.0.0.1:${first}`,
      env['PROCESSOR_FALLBACK_URL'] ?? `http://127.0.0.1:${second}`,
    ],
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

/** Where HAProxy is; empty where it is not installed. */
export const haproxy = readSettings(process.env).haproxy ?? '';
/** For `skip` of a test that needs it. */
export const withoutHaproxy = haproxy === '' && 'HAProxy is not installed';

export interface RunningProxy extends AsyncDisposable {
  readonly port: number;
}

/** Runs HAProxy in front of the backends whose sockets are in `folder`, and waits until it listens. */
export async function startProxy(
  configuration: 'haproxy.cfg' | 'tcp.cfg',
  folder: string,
): Promise<RunningProxy> {
  const [port] = (await freePorts(1)) as [number];
  const proxy = spawn(haproxy, ['-f', join(PROJECT, 'haproxy', configuration)], {
    env: {
      SOQUETE_BIND: `127.0.0.1:${port}`,
      SOQUETE_RUN: folder,
      SOQUETE_STATS: 'off',
      SOQUETE_ERRORS: join(PROJECT, 'haproxy/errors'),
    },
    stdio: 'ignore',
  });
  const ended = new Promise(resolve => proxy.once('close', resolve));
  const dispose = async (): Promise<void> => {
    proxy.kill('SIGKILL');
    await ended;
  };
  try {
    await until(() => accepts({ host: '127.0.0.1', port }), 'HAProxy to listen');
  } catch (error) {
    await dispose();
    throw error;
  }
  return { port, [Symbol.asyncDispose]: dispose };
}

export interface Sending {
  /** The client ends its side behind the last piece. */
  readonly ends?: boolean;
  /** A request that is answered without a body: sent first, and the pieces once it is answered. */
  readonly behind?: string;
}

/**
 * Sends `pieces` (texts with one character for each byte) as they are, one write for each, to a port or a
 * socket's path. Returns all that comes until the other side closes.
 */
export function send(
  where: number | string,
  pieces: readonly (string | Uint8Array)[],
  { ends = false, behind }: Sending = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
    const sendPieces = (): void => {
      for (const piece of pieces) socket.write(piece, 'latin1');
      if (ends) socket.end();
    };
    let answer = '';
    let isWaiting = behind !== undefined;
    socket.setNoDelay();
    if (behind === undefined) sendPieces();
    else socket.write(behind, 'latin1');
    socket.setEncoding('latin1').on('data', text => {
      answer += text;
      if (!isWaiting || !answer.endsWith('\r\n\r\n')) return;
      isWaiting = false;
      sendPieces();
    });
    socket.once('close', () => resolve(answer));
    socket.once('error', reject);
    socket.setTimeout(5_000, () => socket.destroy(new Error(`no end of the answer: ${answer}`)));
  });
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

/**
 * Processes inherit their environment, so it tells which stack they belong to, whoever their parent is now.
 */
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
