/**
 * 64 connections that ask for a page as fast as they can, of one backend, and 200 payments a second beside
 * them: how many pages, at what cost, and how long the payments wait. The first contender is a server that
 * answers a constant without looking; nobody pays it.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { absentProcessors, startBackends, stopBackends, storeDirectory } from '../../src/testing/backends.ts';
import { freePort } from '../../src/testing/ports.ts';
import { type ChildProcesses, listening, type RunningProcess } from '../../src/testing/processes.ts';
import { startUsers } from '../rinha/users.ts';
import { hammer } from '../tools/hammer.ts';
import { cpuMs, residentMiB } from '../tools/process-usage.ts';
import { quantile } from '../tools/statistics.ts';
import { benchmark, type Contender, type Definition, type Measurements } from './benchmark.ts';
import { CONNECTIONS } from './load-phase.ts';
import { assertStored } from './store-check.ts';

const PAYERS = { host: '127.0.0.1', users: 20, thinkMs: 100, rampMs: 100, cents: 1990 } as const;
const server = fileURLToPath(new URL('../http-server.ts', import.meta.url));

export const pages: Definition = {
  name: 'pages',
  about: '64 connections that ask for a page all the time, and payments beside them',
  open: () =>
    benchmark(
      [
        { figure: 'perSecond', title: 'pages/s', ratio: true },
        { figure: 'cpu', title: 'CPU µs a page', ratio: true, bars: true },
        { figure: 'payP50', title: 'payment p50 ms' },
        { figure: 'payP99', title: 'payment p99 ms' },
        { figure: 'memory', title: 'MiB' },
      ],
      [constant, ...['/', '/metrics', '/dashboard.json'].map(backend)],
    ),
};

const constant: Contender = {
  name: 'a constant, unread',
  run: async ({ children, seconds }) => {
    const port = await freePort();
    const child = children.spawn('constant', process.execPath, [server, 'raw', String(port)]);
    await listening(child, { host: '127.0.0.1', port });
    return measured(children, child, `http://127.0.0.1:${port}/`, seconds);
  },
};

const backend = (path: string): Contender => ({
  name: path,
  run: async ({ children, seconds }) => {
    const port = await freePort();
    const processors = await absentProcessors();
    const [started] = await startBackends(children, { processors, count: 1, wire: 'tcp', sharedPort: port });
    const { child } = started!;
    const payments = startUsers({ ...PAYERS, port, durationMs: seconds * 1000 });
    const pages = await measured(children, child, `http://127.0.0.1:${port}${path}`, seconds);
    await payments.done;
    assert.equal(payments.refused.size + payments.failed, 0, 'some payments were not answered with 202');
    await stopBackends([child]);
    assertStored(storeDirectory(children), payments.accepted, PAYERS.users);
    const sorted = payments.latencyMs.sorted();
    return { ...pages, payP50: quantile(sorted, 0.5), payP99: quantile(sorted, 0.99) };
  },
});

async function measured(
  children: ChildProcesses,
  { pid }: RunningProcess,
  url: string,
  seconds: number,
): Promise<Measurements> {
  const before = cpuMs(pid);
  const { count, perSecond } = await hammer(children, { url, connections: CONNECTIONS, seconds });
  const cpu = ((cpuMs(pid) - before) * 1000) / count;
  const none = Number.NaN;
  return { perSecond, cpu, payP50: none, payP99: none, memory: residentMiB(pid), work: count };
}
