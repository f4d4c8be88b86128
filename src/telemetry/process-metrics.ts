/** The figures of the process itself. Expensive ones are read every few seconds only. */
import { readdir, readFile } from 'node:fs/promises';
import {
  constants,
  monitorEventLoopDelay,
  type PerformanceEntry,
  PerformanceObserver,
  performance,
} from 'node:perf_hooks';
import type { ProcessFigures } from './snapshot.ts';
import { VERSION } from './version.ts';

/** Readings between two of the expensive ones: 5 s at two a second. */
const EXPENSIVE_EVERY = 10;
const NANO = 1e-9;

const GC_KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};

type Collection = PerformanceEntry & { readonly detail: { readonly kind: number } };

export class ProcessMetrics {
  // Of each turn that there is: a timer of its own would wake an idle process 50 times a second.
  readonly #lag = monitorEventLoopDelay({ samplePerIteration: true });
  readonly #gc: Record<string, [count: number, seconds: number]> = {};
  readonly #observer: PerformanceObserver;
  #readings = 0;
  #memory = process.memoryUsage();
  #activeResources = 0;
  #lagSeconds: number[] = [0, 0, 0, 0, 0, 0, 0];
  #utilization = performance.eventLoopUtilization();
  #busy = 0;
  #openFds = 0;
  #maxFds = 0;

  constructor() {
    this.#lag.enable();
    this.#observer = new PerformanceObserver(list => {
      for (const { duration, detail } of list.getEntries() as Collection[]) {
        const kind = GC_KINDS[detail.kind] ?? 'other';
        const [count, seconds] = this.#gc[kind] ?? [0, 0];
        this.#gc[kind] = [count + 1, Math.round(seconds * 1e6 + duration * 1000) / 1e6];
      }
    });
    this.#observer.observe({ entryTypes: ['gc'] });
    void this.#readLimits();
  }

  read(): ProcessFigures {
    if (this.#readings++ % EXPENSIVE_EVERY === 0) this.#readExpensive();
    const { user, system } = process.cpuUsage();
    return {
      pid: process.pid,
      node: process.version,
      soquete: VERSION,
      startSeconds: Math.round(performance.timeOrigin) / 1000,
      cpuUserSeconds: user / 1e6,
      cpuSystemSeconds: system / 1e6,
      residentBytes: this.#memory.rss,
      heapTotalBytes: this.#memory.heapTotal,
      heapUsedBytes: this.#memory.heapUsed,
      externalBytes: this.#memory.external,
      openFds: this.#openFds,
      maxFds: this.#maxFds,
      activeResources: this.#activeResources,
      busy: this.#busy,
      lagSeconds: this.#lagSeconds,
      gc: this.#gc,
    };
  }

  close(): void {
    this.#lag.disable();
    this.#observer.disconnect();
  }

  #readExpensive(): void {
    this.#memory = process.memoryUsage();
    this.#activeResources = process.getActiveResourcesInfo().length;
    const lag = this.#lag;
    if (lag.count > 0) {
      const { min, max, mean, stddev } = lag;
      const percentiles = [50, 90, 99].map(percentile => lag.percentile(percentile));
      this.#lagSeconds = [min, max, mean, stddev, ...percentiles].map(
        nanoseconds => Math.round(nanoseconds) * NANO,
      );
      lag.reset();
    }
    const utilization = performance.eventLoopUtilization();
    this.#busy = rounded(performance.eventLoopUtilization(utilization, this.#utilization).utilization);
    this.#utilization = utilization;
    // On Linux only; elsewhere it stays 0.
    readdir('/proc/self/fd').then(
      entries => {
        this.#openFds = entries.length - 1;
      },
      () => {},
    );
  }

  async #readLimits(): Promise<void> {
    const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
    this.#maxFds = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 0);
  }
}

const rounded = (share: number): number => Math.round(share * 1000) / 1000;
