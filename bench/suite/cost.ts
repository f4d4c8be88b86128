/**
 * What a thousand payments cost, accepted and settled: processor time and bytes, at one, ten and a hundred
 * times the load, and with more and more payments in the store.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ProcessorPair, simulatedProcessors, storeDirectory } from '../../src/testing/backends.ts';
import type { RunningProcess } from '../../src/testing/processes.ts';
import { until } from '../../src/testing/until.ts';
import type { Picture } from '../report/picture.ts';
import { startUsers } from '../rinha/users.ts';
import { cpuMs, residentMiB, writtenBytes } from '../tools/process-usage.ts';
import { type RunningSoquete, startSoquete } from '../tools/soquete.ts';
import { benchmark, type Contender, type Definition, type Measurements, type Results } from './benchmark.ts';
import { Fillings } from './fill.ts';
import { sizeOf } from './store-check.ts';

const RATES = [50, 500, 5000] as const;
const USUAL_RATE = 500;
const SIZES = { '100 thousand': 1e5, '1 million': 1e6, '10 million': 1e7 } as const;
const THINK_MS = 100;
const KIB = 1024;

const COLUMNS = [
  { figure: 'backends', title: 'CPU ms: backends', ratio: true, bars: true },
  { figure: 'proxy', title: 'HAProxy' },
  { figure: 'processors', title: 'processors' },
  { figure: 'written', title: 'KiB written' },
  { figure: 'kept', title: 'KiB kept' },
  { figure: 'memory', title: 'resident MiB' },
  { figure: 'idle', title: 'idle ms/s' },
] as const;

export const cost: Definition = {
  name: 'cost',
  about:
    'processor time and bytes of 1,000 payments, accepted and settled, by load and by the size of the store',
  open: ({ small, large }) => {
    const fillings = new Fillings();
    // 500 users at once are too many for a machine that runs other tests as well.
    const warmUp = small ? USUAL_RATE : RATES.at(-1)!;
    const byRate = RATES.map(perSecond => contender(rateName(perSecond), perSecond, 0, fillings, warmUp));
    const sizes = Object.values(SIZES).slice(0, large ? 3 : 2);
    const bySize = sizes.map(stored => contender(sizeName(stored), USUAL_RATE, stored, fillings, warmUp));
    return benchmark(COLUMNS, small ? byRate.slice(1, 2) : [...byRate, ...bySize], {
      dispose: () => fillings.dispose(),
      pictures: small ? () => [] : results => pictures(results, sizes),
    });
  },
};

const rateName = (perSecond: number): string => `${perSecond.toLocaleString('en-US')} payments/s`;
const INDEX_MS = 500;

const sizeName = (payments: number): string =>
  `${rateName(USUAL_RATE)}, ${Object.entries(SIZES).find(([, size]) => size === payments)![0]} stored`;

function contender(
  name: string,
  perSecond: number,
  stored: number,
  fillings: Fillings,
  warmUpPerSecond: number,
): Contender {
  return {
    name,
    run: async ({ children, seconds, tell }) => {
      const filled = stored === 0 ? undefined : (await fillings.of(stored, tell)).directory;
      const processors = await simulatedProcessors(children);
      const soquete = await startSoquete(children, {
        processors,
        ...(filled === undefined ? {} : { storeDirectory: filled }),
      });
      const directory = filled ?? storeDirectory(children);
      const load = async (rate: number) => {
        const users = startUsers({
          host: '127.0.0.1',
          port: soquete.port,
          users: Math.ceil((rate * THINK_MS) / 1000),
          durationMs: seconds * 1000,
          rampMs: 1,
          thinkMs: THINK_MS,
          cents: 1990,
        });
        await users.done;
        assert.deepEqual([users.failed, ...users.refused], [0]);
        return users.accepted;
      };
      // Until V8 has compiled what is hot, which takes hours at the lowest rate.
      await load(warmUpPerSecond);
      // The index follows.
      await sleep(INDEX_MS);
      const rest = spentMs(soquete.backends);
      await sleep(seconds * 1000);
      const idle = (spentMs(soquete.backends) - rest) / seconds;
      const before = used(soquete, processors, directory);
      const accepted = await load(perSecond);
      const after = used(soquete, processors, directory);
      const of = (figure: keyof typeof before): number =>
        ((after[figure] - before[figure]) / accepted) * 1000;
      const isStored = () => sizeOf(directory).payments >= before.payments + accepted;
      await until(isStored, 'all payments to be stored');
      const pids = [...soquete.backends, soquete.proxy!].map(({ pid }) => pid);
      return {
        backends: of('backends'),
        proxy: of('proxy'),
        processors: of('processors'),
        written: of('written') / KIB,
        kept: of('kept') / KIB,
        memory: pids.reduce((sum, pid) => sum + residentMiB(pid), 0),
        idle,
        perSecond: accepted / seconds,
        payments: after.payments,
        work: accepted,
      } satisfies Measurements;
    },
  };
}

const spentMs = (backends: readonly RunningProcess[]): number =>
  backends.reduce((sum, { pid }) => sum + cpuMs(pid), 0);

function used({ backends, proxy }: RunningSoquete, processors: ProcessorPair, directory: string) {
  const { bytes, payments } = sizeOf(directory);
  return {
    backends: spentMs(backends),
    proxy: cpuMs(proxy!.pid),
    processors: cpuMs(processors.child!.pid),
    written: backends.reduce((sum, { pid }) => sum + writtenBytes(pid), 0),
    kept: bytes,
    payments,
  };
}

function pictures(results: Results, sizes: readonly number[]): Picture[] {
  const median = (name: string, figure: string): number => results[name]![figure]!.median;
  const byRate = RATES.map(rateName);
  const bySize = [rateName(USUAL_RATE), ...sizes.map(sizeName)];
  const lines = (names: readonly string[], across: string, figures: Readonly<Record<string, string>>) =>
    Object.entries(figures).map(([title, figure]) => ({
      title,
      points: names.map(name => [median(name, across), median(name, figure)] as const),
    }));
  const time = { 'three backends': 'backends', HAProxy: 'proxy', 'simulated processors': 'processors' };
  const bytes = { 'written to disk': 'written', 'kept in the store': 'kept' };
  const rate = { title: 'payments/s', logarithmic: true } as const;
  const size = { title: `payments in the store, at ${rateName(USUAL_RATE)}`, logarithmic: true } as const;
  const ms = { title: 'CPU ms', logarithmic: true } as const;
  const kib = { title: 'KiB', logarithmic: true } as const;
  return [
    { title: 'CPU time of 1,000 payments, by load', x: rate, y: ms, lines: lines(byRate, 'perSecond', time) },
    { title: 'bytes of 1,000 payments, by load', x: rate, y: kib, lines: lines(byRate, 'perSecond', bytes) },
    {
      title: 'CPU time of 1,000 payments, by the store',
      x: size,
      y: ms,
      lines: lines(bySize, 'payments', time),
    },
    {
      title: 'bytes of 1,000 payments, by the store',
      x: size,
      y: kib,
      lines: lines(bySize, 'payments', bytes),
    },
  ];
}
