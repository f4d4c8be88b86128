/**
 * Memory of each process: resident, its share of that where processes share pages, and on V8's heap; at rest,
 * under full load, and some time after it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { simulatedProcessors, stopBackends, storeDirectory } from '../../src/testing/backends.ts';
import { HEAP_PROBE } from '../tools/heap-probe.ts';
import { startSoquete } from '../tools/soquete.ts';
import { benchmark, type Definition, type Measurements, type Round, together } from './benchmark.ts';
import { CONNECTIONS, loadPhase } from './load-phase.ts';
import { memoryOf, PROCESSES, type ProcessName } from './stack-memory.ts';
import { assertStored } from './store-check.ts';

const WATCH_MS = 100;

export const memory: Definition = {
  name: 'memory',
  about:
    'memory of each process in MiB, resident and on the heap: at rest, the most under full load, after it',
  open: () => {
    const columns = [
      { figure: 'loaded', title: 'resident under load', bars: true },
      { figure: 'idle', title: 'resident at rest' },
      { figure: 'after', title: 'resident after' },
      { figure: 'shareLoaded', title: 'share under load' },
      { figure: 'heapLoaded', title: 'heap under load', bars: true },
      { figure: 'heapIdle', title: 'heap at rest' },
      { figure: 'heapAfter', title: 'heap after' },
    ] as const;
    return benchmark(columns, together(PROCESSES, watched));
  },
};

async function watched({ children, seconds }: Round): Promise<Record<ProcessName, Measurements>> {
  const processors = await simulatedProcessors(children, HEAP_PROBE);
  const soquete = await startSoquete(children, { processors, nodeOptions: HEAP_PROBE });
  const look = () => memoryOf(soquete, processors);
  const idle = await look();
  const looks = [idle];
  let isLoaded = true;
  const watching = (async () => {
    while (isLoaded) {
      looks.push(await look());
      await sleep(WATCH_MS);
    }
  })();
  const { acceptedInAll } = await loadPhase(children, soquete.url, seconds).finally(() => {
    isLoaded = false;
  });
  await watching;
  await sleep(seconds * 1000);
  const after = await look();
  await stopBackends(soquete.backends);
  const work = assertStored(storeDirectory(children), acceptedInAll, CONNECTIONS);
  const figures = (name: ProcessName): Measurements => ({
    idle: idle[name].residentMiB,
    loaded: Math.max(...looks.map(at => at[name].residentMiB)),
    after: after[name].residentMiB,
    shareLoaded: Math.max(...looks.map(at => at[name].shareMiB)),
    heapIdle: idle[name].heapMiB,
    heapLoaded: Math.max(...looks.map(at => at[name].heapMiB)),
    heapAfter: after[name].heapMiB,
    work,
  });
  return Object.fromEntries(PROCESSES.map(name => [name, figures(name)])) as Record<
    ProcessName,
    Measurements
  >;
}
