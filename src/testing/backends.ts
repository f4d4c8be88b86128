/** Parts of the stack: backends with nothing before them, and processors that answer or do not. */
import { join } from 'node:path';
import { BACKEND_ENVIRONMENT, BACKEND_FLAGS } from '../stack/node-flags.ts';
import { freePort, freePorts } from './ports.ts';
import { type ChildProcesses, listening, type RunningProcess, untilReady } from './processes.ts';

/** A program as `npm start` runs it: what `npm run build` made. */
export const bundled = (name: string): string => join(import.meta.dirname, '../../dist', name);

export interface ProcessorPair {
  readonly urls: readonly [string, string];
  /** Undefined where nobody listens. */
  readonly child?: RunningProcess;
}

/** The simulated processors, both in one process. */
export async function simulatedProcessors(
  children: ChildProcesses,
  nodeOptions: readonly string[] = [],
): Promise<ProcessorPair> {
  const { urls, ports } = await localUrls();
  const args = [bundled('processors.js'), `--default=${ports[0]}`, `--fallback=${ports[1]}`];
  const child = children.spawn('processors', process.execPath, [...nodeOptions, ...args]);
  for (const port of ports) await listening(child, { host: '127.0.0.1', port });
  return { urls, child };
}

/** Processors that refuse every connection: so accepting is all there is to do. */
export async function absentProcessors(): Promise<ProcessorPair> {
  const { urls } = await localUrls();
  return { urls };
}

async function localUrls() {
  const ports = await freePorts(2);
  return { ports, urls: [`http://127.0.0.1:${ports[0]}`, `http://127.0.0.1:${ports[1]}`] as const };
}

export interface BackendsOptions {
  readonly processors: ProcessorPair;
  readonly count?: number;
  readonly wire?: 'unix' | 'tcp';
  /** A port that all of them share, instead of one for each. */
  readonly sharedPort?: number;
  readonly environment?: NodeJS.ProcessEnv;
  readonly storeDirectory?: string;
  /** Options of Node.js for the backends, to profile them for example. */
  readonly nodeOptions?: readonly string[];
}

export interface RunningBackend {
  readonly child: RunningProcess;
  /** As HAProxy writes it: `unix@/path` or `host:port`. */
  readonly address: string;
}

/** Where the backends have their store if nothing else is asked for. */
export const storeDirectory = ({ directory }: ChildProcesses): string => join(directory, 'store');

/** Starts backends and waits until each says that it is ready. */
export async function startBackends(
  children: ChildProcesses,
  options: BackendsOptions,
): Promise<RunningBackend[]> {
  const { count = 3, wire = 'unix', sharedPort } = options;
  const started: RunningBackend[] = [];
  for (let number = 1; number <= count; number++) {
    const name = `backend-${number}`;
    const path = join(children.directory, `${name}.sock`);
    const place = wire === 'unix' ? path : `127.0.0.1:${sharedPort ?? (await freePort())}`;
    const child = spawnBackend(children, name, `${wire}:${place}`, options);
    started.push({ child, address: wire === 'unix' ? `unix@${path}` : place });
  }
  await Promise.all(started.map(({ child }) => untilReady(child, () => child.said().includes('ready'))));
  return started;
}

/** Starts one backend, ready or not. */
export function spawnBackend(
  children: ChildProcesses,
  name: string,
  listen: string,
  { processors, environment, storeDirectory: directory, nodeOptions = [] }: BackendsOptions,
): RunningProcess {
  return children.spawn(name, process.execPath, [...BACKEND_FLAGS, ...nodeOptions, bundled('main.js')], {
    INSTANCE: name,
    LISTEN: listen,
    PROCESSOR_DEFAULT_URL: processors.urls[0],
    PROCESSOR_FALLBACK_URL: processors.urls[1],
    STORE_URL: `sqlite:${directory ?? storeDirectory(children)}`,
    LOG_LEVEL: 'info',
    ...BACKEND_ENVIRONMENT,
    ...environment,
  });
}

/** Lets backends stop in good order: then the store has all that they accepted. */
export async function stopBackends(backends: readonly RunningProcess[]): Promise<void> {
  for (const { pid } of backends) process.kill(pid, 'SIGTERM');
  await Promise.all(backends.map(({ exited }) => exited));
}
