/**
 * The real thing, started for a measurement: backends, the door before them, and processors that answer or do
 * not.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BACKEND_ENVIRONMENT, BACKEND_FLAGS } from '../../src/stack/node-flags.ts';
import { type Children, freePort, listening, type RunningProcess, untilReady } from './children.ts';
import { nginx } from './nginx.ts';
import { type BenchProxy, balancer } from './proxy.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The bundle where it was built, as `npm start` runs it; the source where it was not. */
export function entry(bundle: string, source: string): string {
  const built = join(root, 'dist', bundle);
  return existsSync(built) ? built : join(root, source);
}

export interface ProcessorPair {
  readonly urls: readonly [string, string];
  /** Undefined where nobody listens. */
  readonly child?: RunningProcess;
}

/** The simulated processors, both in one process. */
export async function simulatedProcessors(
  children: Children,
  nodeOptions: readonly string[] = [],
): Promise<ProcessorPair> {
  const ports = [await freePort(), await freePort()] as const;
  const child = children.spawn('processors', process.execPath, [
    ...nodeOptions,
    entry('processors.js', 'src/processor-simulator/main.ts'),
    `--default=${ports[0]}`,
    `--fallback=${ports[1]}`,
  ]);
  for (const port of ports) await listening({ host: '127.0.0.1', port }, child);
  return { urls: [`http://127.0.0.1:${ports[0]}`, `http://127.0.0.1:${ports[1]}`], child };
}

/** Processors that refuse every connection: so accepting is all there is to do. */
export async function absentProcessors(): Promise<ProcessorPair> {
  return { urls: [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`] };
}

/** What clients connect to: a proxy, or the backends themselves, which then share a port. */
export type DoorKind = 'haproxy http' | 'haproxy tcp' | 'nginx' | 'none';
export type Wire = 'unix' | 'tcp';

export interface SoqueteOptions {
  readonly processors: ProcessorPair;
  readonly door?: DoorKind;
  readonly wire?: Wire;
  readonly backends?: number;
  readonly environment?: NodeJS.ProcessEnv;
  readonly storeDirectory?: string;
  /** Options of Node.js for the backends, to profile them for example. */
  readonly nodeOptions?: readonly string[];
}

export interface RunningSoquete {
  readonly port: number;
  readonly url: string;
  readonly backends: readonly RunningProcess[];
  readonly proxy: RunningProcess | undefined;
}

/** Starts the backends and the door, and waits until every backend says that it is ready. */
export async function startSoquete(children: Children, options: SoqueteOptions): Promise<RunningSoquete> {
  const { door = 'haproxy http', wire = door === 'none' ? 'tcp' : 'unix', backends = 3 } = options;
  const started: { child: RunningProcess; address: string }[] = [];
  const sharedPort = await freePort();
  for (let number = 1; number <= backends; number++) {
    const name = `backend-${number}`;
    const path = join(children.directory, `${name}.sock`);
    const port = door === 'none' ? sharedPort : await freePort();
    const child = children.spawn(name, process.execPath, backendArguments(options), {
      INSTANCE: name,
      LISTEN: wire === 'unix' ? `unix:${path}` : `tcp:127.0.0.1:${port}`,
      PROCESSOR_DEFAULT_URL: options.processors.urls[0],
      PROCESSOR_FALLBACK_URL: options.processors.urls[1],
      STORE_URL: `sqlite:${options.storeDirectory ?? join(children.directory, 'store')}`,
      LOG_LEVEL: 'info',
      ...BACKEND_ENVIRONMENT,
      ...options.environment,
    });
    started.push({ child, address: wire === 'unix' ? `unix@${path}` : `127.0.0.1:${port}` });
  }
  await Promise.all(
    started.map(({ child }) => untilReady(child, 60_000, () => /"msg":"ready"|ready/.test(child.said()))),
  );
  const proxy = await openDoor(
    children,
    door,
    started.map(({ address }) => address),
  );
  const port = proxy?.port ?? sharedPort;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    backends: started.map(({ child }) => child),
    proxy: proxy?.child,
  };
}

async function openDoor(
  children: Children,
  door: DoorKind,
  addresses: readonly string[],
): Promise<BenchProxy | undefined> {
  switch (door) {
    case 'none':
      return undefined;
    case 'nginx':
      return nginx(children, addresses);
    case 'haproxy http':
      return balancer(children, 'http', addresses);
    case 'haproxy tcp':
      return balancer(children, 'tcp', addresses);
  }
}

const backendArguments = ({ nodeOptions = [] }: SoqueteOptions): string[] => [
  ...BACKEND_FLAGS,
  ...nodeOptions,
  entry('main.js', 'src/main.ts'),
];

/** Lets the backends stop in good order: then the store has all that they accepted. */
export async function stopBackends(backends: readonly RunningProcess[]): Promise<void> {
  for (const { pid } of backends) process.kill(pid, 'SIGTERM');
  await Promise.all(backends.map(({ exited }) => exited));
}

/** What lets a stack run beside others: ports and a folder of its own. */
export async function stackEnvironment(children: Children) {
  const [port, byDefault, byFallback] = [await freePort(), await freePort(), await freePort()];
  const environment: NodeJS.ProcessEnv = {
    PORT: String(port),
    PROCESSOR_DEFAULT_PORT: String(byDefault),
    PROCESSOR_FALLBACK_PORT: String(byFallback),
    STATS_PORT: String(await freePort()),
    RUN_DIR: join(children.directory, 'run'),
    STORE_URL: `sqlite:${join(children.directory, 'store')}`,
    ALLOW_PURGE: '1',
  };
  const processors = [`http://127.0.0.1:${byDefault}`, `http://127.0.0.1:${byFallback}`] as const;
  return { environment, port, processors };
}

/** The whole stack as `npm start` runs it. */
export async function startLauncher(
  children: Children,
): Promise<{ child: RunningProcess; url: string; processors: readonly [string, string] }> {
  const { environment, port, processors } = await stackEnvironment(children);
  const script = entry('stack.js', 'src/stack/launcher.ts');
  const child = children.spawn('stack', process.execPath, [script], environment);
  const url = `http://127.0.0.1:${port}`;
  // Its own word covers all parts; an answer may come from a first one while others still start.
  await untilReady(child, 60_000, () => child.said().includes('ready on'));
  return { child, url, processors };
}
