/**
 * Limits of processor time and memory for single processes, by the kernel's control groups: as a container
 * has them, without Docker. It needs root.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../../src/testing/until.ts';

const ROOT = '/sys/fs/cgroup';
const PERIOD_US = 100_000;

export interface CgroupUsage {
  readonly cpuSeconds: number;
  readonly memoryMiBMax: number;
  readonly periods: number;
  /** Of those, the ones in which it had used up its time and had to wait for the next. */
  readonly throttledPeriods: number;
  readonly throttledMs: number;
}

/** One group: it is a folder for each hierarchy, all three of version 1 or the one of version 2. */
export class Cgroup implements AsyncDisposable {
  readonly #isVersion2 = existsSync(join(ROOT, 'cgroup.controllers'));
  readonly #cpu: string;
  readonly #memory: string;
  readonly #account: string;

  /** `cpus`: of one processor's time, for example 0.42. Throws where this process may not make groups. */
  constructor(name: string, { cpus, memoryMiB }: { cpus: number; memoryMiB: number }) {
    const own = `soquete-${process.pid}-${name}`;
    const folder = (controller: string): string => join(ROOT, this.#isVersion2 ? '' : controller, own);
    this.#cpu = folder('cpu');
    this.#memory = folder('memory');
    this.#account = folder('cpuacct');
    const quotaUs = Math.round(cpus * PERIOD_US);
    const bytes = memoryMiB * 2 ** 20;
    if (this.#isVersion2) writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+cpu +memory');
    for (const path of this.#folders()) mkdirSync(path, { recursive: true });
    if (this.#isVersion2) {
      writeFileSync(join(this.#cpu, 'cpu.max'), `${quotaUs} ${PERIOD_US}`);
      writeFileSync(join(this.#memory, 'memory.max'), String(bytes));
    } else {
      writeFileSync(join(this.#cpu, 'cpu.cfs_period_us'), String(PERIOD_US));
      writeFileSync(join(this.#cpu, 'cpu.cfs_quota_us'), String(quotaUs));
      writeFileSync(join(this.#memory, 'memory.limit_in_bytes'), String(bytes));
    }
  }

  /** What `start` starts is in the group from its first page on: a process is born where its parent is. */
  around<Started>(start: () => Started): Started {
    const before = this.#folders().map(path => [path, this.#isVersion2 ? ROOT : join(path, '..')] as const);
    for (const [path] of before) enter(path);
    try {
      return start();
    } finally {
      for (const [, parent] of before) enter(parent);
    }
  }

  usage(): CgroupUsage {
    const cpu = figures(join(this.#cpu, 'cpu.stat'));
    const peak = this.#isVersion2 ? 'memory.peak' : 'memory.max_usage_in_bytes';
    return {
      cpuSeconds: this.#isVersion2
        ? cpu('usage_usec') / 1e6
        : Number(readFileSync(join(this.#account, 'cpuacct.usage'), 'utf8')) / 1e9,
      memoryMiBMax: Number(readFileSync(join(this.#memory, peak), 'utf8')) / 2 ** 20,
      periods: cpu('nr_periods'),
      throttledPeriods: cpu('nr_throttled'),
      throttledMs: this.#isVersion2 ? cpu('throttled_usec') / 1e3 : cpu('throttled_time') / 1e6,
    };
  }

  /** Once its processes have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#folders()) {
      await until(() => removed(path), `no process in ${path}`, 10_000, 50);
    }
  }

  #folders(): string[] {
    return [...new Set([this.#cpu, this.#memory, this.#account])];
  }
}

const enter = (path: string): void => writeFileSync(join(path, 'cgroup.procs'), String(process.pid));

/** The figures of a file of lines `name value`; one that is not there is 0. */
function figures(path: string): (name: string) => number {
  const text = readFileSync(path, 'utf8');
  return name => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

function removed(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
