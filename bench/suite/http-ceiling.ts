/**
 * The HTTP server alone, payments in memory, against what does less or the same: a `node:net` server that
 * answers a constant without looking, `node:http` with `JSON.parse`, fastify, and HAProxy's own `http-request
 * return`. Once directly over TCP, once with three of each behind HAProxy on Unix sockets.
 *
 * Beside the requests a second stand the time of the processor and the bytes of V8's heap that a request
 * takes: on a machine that others use, those are the ones to compare.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../src/testing/ports.ts';
import { type ChildProcesses, listening, type RunningProcess } from '../../src/testing/processes.ts';
import { askHeap, HEAP_PROBE } from '../tools/heap-probe.ts';
import { cpuMs } from '../tools/process-usage.ts';
import { balancedUrl, constantProxy, constantProxyOn } from '../tools/proxy.ts';
import { benchmark, type Column, type Contender, type Definition, type Measurements } from './benchmark.ts';
import { figuresOf, loadPhase } from './load-phase.ts';

export const CEILING_COLUMNS: readonly Column[] = [
  { figure: 'perSecond', title: 'requests/s', ratio: true },
  { figure: 'cpu', title: 'CPU µs a request', ratio: true, bars: true },
  { figure: 'garbage', title: 'heap bytes' },
  { figure: 'p50', title: 'p50 ms' },
  { figure: 'p99', title: 'p99 ms' },
];

/** Of `http-server.ts`, by what each is called. */
const KINDS = {
  'ceiling: node:net, unread': 'raw',
  soquete: 'soquete',
  'node:http and JSON.parse': 'node:http',
  fastify: 'fastify',
} as const;
const HAPROXY = 'HAProxy: http-request return';

const script = fileURLToPath(new URL('../http-server.ts', import.meta.url));

export const httpCeiling: Definition = {
  name: 'http-ceiling',
  about: 'the HTTP server alone, payments in memory, directly over TCP',
  open: ({ small }) => {
    const contenders = Object.entries(KINDS).map(([name, kind]) => directly(name, kind));
    return benchmark(CEILING_COLUMNS, small ? contenders.slice(1) : [...contenders, haproxyDirectly]);
  },
};

export const httpCeilingProxied: Definition = {
  name: 'http-ceiling-proxied',
  about: 'the HTTP server alone, three of them behind HAProxy on Unix sockets',
  open: ({ small }) => {
    const contenders = Object.entries(KINDS).map(([name, kind]) => proxied(name, kind));
    return benchmark(CEILING_COLUMNS, small ? [haproxyProxied] : [...contenders, haproxyProxied]);
  },
};

export const directly = (name: string, kind: string): Contender => ({
  name,
  run: async ({ children, seconds }) => {
    const port = await freePort();
    const server = spawn(children, kind, String(port));
    await listening(server, { host: '127.0.0.1', port });
    return measured(children, `http://127.0.0.1:${port}`, seconds, [server], true);
  },
});

const haproxyDirectly: Contender = {
  name: HAPROXY,
  run: async ({ children, seconds }) => {
    const { port, child } = await constantProxy(children);
    return measured(children, `http://127.0.0.1:${port}`, seconds, [child], false);
  },
};

const proxied = (name: string, kind: string): Contender => ({
  name,
  run: async ({ children, seconds }) => {
    const paths = pathsOf(children);
    const servers = paths.map(path => spawn(children, kind, path));
    await Promise.all(paths.map((path, at) => listening(servers[at]!, { socketPath: path })));
    return measured(children, await balancedUrl(children, paths), seconds, servers, true);
  },
});

const haproxyProxied: Contender = {
  name: HAPROXY,
  run: async ({ children, seconds }) => {
    const paths = pathsOf(children);
    const server = await constantProxyOn(children, paths);
    return measured(children, await balancedUrl(children, paths), seconds, [server], false);
  },
};

const spawn = (children: ChildProcesses, kind: string, address: string): RunningProcess =>
  children.spawn(kind, process.execPath, [...HEAP_PROBE, script, kind, address]);

const pathsOf = ({ directory }: ChildProcesses): string[] =>
  [1, 2, 3].map(number => join(directory, `${number}.sock`));

async function measured(
  children: ChildProcesses,
  url: string,
  seconds: number,
  servers: readonly RunningProcess[],
  hasHeap: boolean,
): Promise<Measurements> {
  // Once for nothing: compiling is not what is measured.
  await loadPhase(children, url, Math.min(seconds, 1));
  const used = async () => {
    const heaps = hasHeap ? await Promise.all(servers.map(askHeap)) : [];
    return {
      cpuUs: servers.reduce((sum, { pid }) => sum + cpuMs(pid), 0) * 1000,
      allocated: heaps.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0),
    };
  };
  const before = await used();
  const phase = await loadPhase(children, url, seconds);
  const { acceptedInAll } = phase;
  const after = await used();
  return {
    ...figuresOf(phase),
    cpu: (after.cpuUs - before.cpuUs) / acceptedInAll,
    garbage: hasHeap ? (after.allocated - before.allocated) / acceptedInAll : Number.NaN,
  };
}
