/**
 * Whether memory grows: a moderate load that never changes, for long, and the slope of each process's memory
 * in the second half of that time, when everything that is to be compiled is.
 *
 * Some growth is known: the simulated processors keep every payment in memory.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { simulatedProcessors, stopBackends, storeDirectory } from '../../src/testing/backends.ts';
import type { ChartLine, Picture } from '../report/picture.ts';
import { startUsers } from '../rinha/users.ts';
import { HEAP_PROBE } from '../tools/heap-probe.ts';
import { startSoquete } from '../tools/soquete.ts';
import { slope } from '../tools/statistics.ts';
import { benchmark, type Definition, type Measurements, type Round, together } from './benchmark.ts';
import { type Memory, memoryOf, PROCESSES, type ProcessName } from './stack-memory.ts';
import { assertStored } from './store-check.ts';

const PER_SECOND = 1500;
const THINK_MS = 100;
const USERS = (PER_SECOND * THINK_MS) / 1000;
const LONG_SECONDS = 600;
const SHORT_SECONDS = 30;
/** Enough looks for a slope, however long it takes. */
const LOOKS = 200;

interface Look {
  readonly atSeconds: number;
  readonly of: Readonly<Record<ProcessName, Memory>>;
}

export const growth: Definition = {
  name: 'growth',
  about: `how memory grows under ${PER_SECOND.toLocaleString('en-US')} payments a second, in MiB; slopes are those of the second half`,
  size: ({ long }) => ({ rounds: 1, seconds: long ? LONG_SECONDS : SHORT_SECONDS }),
  open: () => {
    const looks: Look[] = [];
    const columns = [
      { figure: 'last', title: 'resident at last', bars: true },
      { figure: 'first', title: 'at first' },
      { figure: 'half', title: 'after half' },
      { figure: 'slope', title: 'growth an hour' },
      { figure: 'heapLast', title: 'heap at last' },
      { figure: 'heapHalf', title: 'heap after half' },
      { figure: 'heapSlope', title: 'heap growth an hour' },
    ] as const;
    return benchmark(
      columns,
      together(PROCESSES, round => grown(round, looks)),
      {
        pictures: () => [
          picture('resident memory', looks, memory => memory.residentMiB),
          picture('V8’s heap, garbage included', looks, memory => memory.heapMiB),
        ],
      },
    );
  },
};

async function grown(round: Round, looks: Look[]): Promise<Record<ProcessName, Measurements>> {
  const { children, seconds } = round;
  const processors = await simulatedProcessors(children, HEAP_PROBE);
  const soquete = await startSoquete(children, { processors, nodeOptions: HEAP_PROBE });
  const startedAt = performance.now();
  const load = startUsers({
    host: '127.0.0.1',
    port: soquete.port,
    users: USERS,
    durationMs: seconds * 1000,
    rampMs: 1000,
    thinkMs: THINK_MS,
    cents: 1990,
  });
  let isLoaded = true;
  const done = load.done.finally(() => {
    isLoaded = false;
  });
  while (isLoaded) {
    const atSeconds = (performance.now() - startedAt) / 1000;
    looks.push({ atSeconds, of: await memoryOf(soquete, processors) });
    await sleep((seconds * 1000) / LOOKS);
  }
  await done;
  assert.equal(load.failed + load.refused.size, 0, 'some requests were not answered with 202');
  await stopBackends(soquete.backends);
  const work = assertStored(storeDirectory(children), load.accepted, USERS);
  return Object.fromEntries(PROCESSES.map(name => [name, figuresOf(name, looks, work)])) as Record<
    ProcessName,
    Measurements
  >;
}

function figuresOf(name: ProcessName, looks: readonly Look[], work: number): Measurements {
  const half = looks.slice(looks.length >> 1);
  const anHour = (of: (memory: Memory) => number): number =>
    slope(half.map(look => [look.atSeconds / 3600, of(look.of[name])]));
  return {
    slope: anHour(({ residentMiB }) => residentMiB),
    first: looks[0]!.of[name].residentMiB,
    half: half[0]!.of[name].residentMiB,
    last: half.at(-1)!.of[name].residentMiB,
    heapSlope: anHour(({ heapMiB }) => heapMiB),
    heapHalf: half[0]!.of[name].heapMiB,
    heapLast: half.at(-1)!.of[name].heapMiB,
    work,
  };
}

const picture = (title: string, looks: readonly Look[], of: (memory: Memory) => number): Picture => ({
  title: `${title} over time`,
  x: { title: 'seconds' },
  y: { title: 'MiB' },
  lines: PROCESSES.map(name => line(name, looks, of)).filter(({ points }) =>
    points.some(([, y]) => !Number.isNaN(y)),
  ),
});

const line = (name: ProcessName, looks: readonly Look[], of: (memory: Memory) => number): ChartLine => ({
  title: name,
  points: looks.map(look => [rounded(look.atSeconds), rounded(of(look.of[name]))]),
});

/** What is kept as text needs no more digits than can be drawn. */
const rounded = (value: number): number => Math.round(value * 100) / 100;
