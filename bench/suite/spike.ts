/**
 * From 10 connections to 500 at once: what the first second is like for those who come, and what it takes of
 * memory.
 */

import { simulatedProcessors, stopBackends, storeDirectory } from '../../src/testing/backends.ts';
import type { ChildProcesses } from '../../src/testing/processes.ts';
import { load } from '../tools/load.ts';
import { residentMiB } from '../tools/process-usage.ts';
import { constantProxy } from '../tools/proxy.ts';
import { startSoquete } from '../tools/soquete.ts';
import { benchmark, type Definition, type Measurements } from './benchmark.ts';
import { figuresOf } from './load-phase.ts';
import { assertStored } from './store-check.ts';

const BEFORE = 10;
const MORE = 490;
const SPIKE_SECONDS = 1;

export const spike: Definition = {
  name: 'spike',
  about: `the first second of ${MORE} more connections`,
  open: ({ small }) => {
    const columns = [
      { figure: 'p50', title: 'p50 ms' },
      { figure: 'p99', title: 'p99 ms', ratio: true },
      { figure: 'perSecond', title: 'payments/s' },
      { figure: 'grownMiB', title: 'grown by MiB' },
    ] as const;
    const contenders = [
      {
        name: 'soquete',
        run: async ({ children, seconds }: { children: ChildProcesses; seconds: number }) => {
          const processors = await simulatedProcessors(children);
          const { url, backends } = await startSoquete(children, { processors });
          const resident = () => backends.reduce((sum, { pid }) => sum + residentMiB(pid), 0);
          const spike = await spiked(children, url, seconds, resident);
          await stopBackends(backends);
          const work = assertStored(storeDirectory(children), spike.work, 2 * BEFORE + MORE);
          return { ...spike, work };
        },
      },
      {
        name: 'ceiling: HAProxy alone',
        run: async ({ children, seconds }: { children: ChildProcesses; seconds: number }) => {
          const { port, child } = await constantProxy(children);
          return await spiked(children, `http://127.0.0.1:${port}`, seconds, () => residentMiB(child.pid));
        },
      },
    ];
    return benchmark(columns, small ? contenders.slice(0, 1) : contenders);
  },
};

async function spiked(
  children: ChildProcesses,
  url: string,
  seconds: number,
  resident: () => number,
): Promise<Measurements> {
  const { accepted } = await load(children, { url, connections: BEFORE, seconds });
  const before = resident();
  const [more, same] = await Promise.all([
    load(children, { url, connections: MORE, seconds: Math.min(seconds, SPIKE_SECONDS) }),
    load(children, { url, connections: BEFORE, seconds: Math.min(seconds, SPIKE_SECONDS) }),
  ]);
  return { ...figuresOf(more, accepted + more.accepted + same.accepted), grownMiB: resident() - before };
}
