/** The whole stack as `npm start` runs it: on its own ports, in its own folder, with its own books. */
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundled } from './backends.ts';
import { freePorts } from './ports.ts';
import { ChildProcesses, type RunningProcess, signalIfThere, untilReady } from './processes.ts';
import { until } from './until.ts';

export const BACKENDS = ['backend-1', 'backend-2', 'backend-3'] as const;
export type StackPart = 'all' | 'backends' | 'proxy' | (typeof BACKENDS)[number];

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
  try {
    // Its own word covers all parts; an answer may come from a first one while others still start.
    await untilReady(stack.launcher, () => stack.launcher.said().includes('ready on http'));
    return stack;
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts the built stack, whether it can come up or not. */
export async function launchStack(options: StackOptions = {}): Promise<RunningStack> {
  const { env = {}, folder = mkdtempSync(join(tmpdir(), 'soquete-')), under = [] } = options;
  const [free, byDefault, byFallback] = await freePorts(3);
  const environment = {
    PORT: String(free),
    PROCESSOR_DEFAULT_PORT: String(byDefault),
    PROCESSOR_FALLBACK_PORT: String(byFallback),
    RUN_DIR: join(folder, 'run'),
    STORE_URL: `sqlite:${join(folder, 'data')}`,
    LOG_LEVEL: 'warn',
    ...env,
  };
  const processorUrls = [
    env['PROCESSOR_DEFAULT_URL'] ?? `http://127.0.0.1:${environment.PROCESSOR_DEFAULT_PORT}`,
    env['PROCESSOR_FALLBACK_URL'] ?? `http://127.0.0.1:${environment.PROCESSOR_FALLBACK_PORT}`,
  ] as const;
  const [command, ...args] = [...under, process.execPath, bundled('stack.js')] as const;
  const children = new ChildProcesses(folder);
  const launcher = children.spawn('stack', command, args, environment);
  return new RunningStack(children, launcher, Number(environment.PORT), processorUrls);
}

export class RunningStack implements AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  readonly processorUrls: readonly [string, string];
  readonly launcher: RunningProcess;
  readonly #children: ChildProcesses;

  constructor(
    children: ChildProcesses,
    launcher: RunningProcess,
    port: number,
    processorUrls: readonly [string, string],
  ) {
    this.#children = children;
    this.launcher = launcher;
    this.folder = children.directory;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.processorUrls = processorUrls;
  }

  /**
   * The stack's processes. They inherit their environment, so it says which stack they belong to, whatever
   * their parent is now.
   */
  pids(part: StackPart = 'all'): number[] {
    const marks = [`RUN_DIR=${join(this.folder, 'run')}\0`];
    if (part === 'proxy') marks.push('SOQUETE_BIND=');
    else if (part === 'backends') marks.push('INSTANCE=');
    else if (part !== 'all') marks.push(`INSTANCE=${part}\0`);
    const found = readdirSync('/proc').filter(name => {
      const environment = /^\d+$/.test(name) ? read(name, 'environ') : '';
      return marks.every(mark => environment.includes(mark));
    });
    // The shell that watches over the proxy has the same environment.
    return (part === 'proxy' ? found.filter(name => read(name, 'comm') === 'haproxy\n') : found).map(Number);
  }

  /** Sends a signal; returns the ids of the processes that got it. */
  signal(signal: NodeJS.Signals, part: StackPart = 'all'): number[] {
    return this.pids(part).filter(pid => signalIfThere(pid, signal));
  }

  /** SIGKILL to all of it; resolves when it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await until(() => this.pids().length === 0, 'the stack to be gone');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#children[Symbol.asyncDispose]();
  }
}

/** A file of a process; empty when it has ended meanwhile, or is somebody else's. */
function read(pid: string, file: 'environ' | 'comm'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}
