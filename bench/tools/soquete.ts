/** Backends and the door before them, started for a measurement. */
import { type BackendsOptions, startBackends } from '../../src/testing/backends.ts';
import { freePort } from '../../src/testing/ports.ts';
import type { ChildProcesses, RunningProcess } from '../../src/testing/processes.ts';
import { nginx } from './nginx.ts';
import { balancer } from './proxy.ts';

/** What clients connect to; without a door to the backends themselves, which then share a port. */
const DOORS = {
  'haproxy http': balancer('http'),
  'haproxy tcp': balancer('tcp'),
  nginx,
  none: undefined,
} as const;

export interface SoqueteOptions extends Omit<BackendsOptions, 'sharedPort'> {
  readonly door?: keyof typeof DOORS;
}

export interface RunningSoquete {
  readonly port: number;
  readonly url: string;
  readonly backends: readonly RunningProcess[];
  readonly proxy: RunningProcess | undefined;
}

/** Starts the backends and the door, and waits until every backend says that it is ready. */
export async function startSoquete(
  children: ChildProcesses,
  { door = 'haproxy http', ...options }: SoqueteOptions,
): Promise<RunningSoquete> {
  const sharedPort = await freePort();
  const shared = door === 'none' ? { wire: 'tcp' as const, sharedPort } : {};
  const started = await startBackends(children, { ...options, ...shared });
  const addresses = started.map(({ address }) => address);
  const proxy = await DOORS[door]?.(children, addresses);
  const port = proxy?.port ?? sharedPort;
  const backends = started.map(({ child }) => child);
  return { port, url: `http://127.0.0.1:${port}`, backends, proxy: proxy?.child };
}
