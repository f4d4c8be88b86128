/** What a store's directory takes of its disk, and how fast that grows. */
import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../domain/clock.ts';

const HOUR_IN_MS = 3_600_000;
/** The directory is looked at as often as that, however many ask. */
const LOOK_MS = 10_000;
/** A rate over less is chance. */
const RATE_MS = 600_000;

export interface DiskFigures {
  /** Of the store, with its log and its archive. */
  readonly usedBytes: number;
  readonly freeBytes: number;
  /** Until nothing is free, at the rate of the last hour; null: it does not grow, or it is too early. */
  readonly daysLeft: number | null;
}

interface DiskLook {
  readonly atMs: number;
  readonly lastingBytes: number;
}

export class DiskUse {
  readonly #directory: string;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #looks: DiskLook[] = [];
  #last: Promise<DiskFigures> | undefined;

  constructor(directory: string, clock: Pick<Clock, 'monotonicMs'>) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /** Rejects with what the system says. */
  figures(): Promise<DiskFigures> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#last === undefined || nowMs - (this.#looks.at(-1)?.atMs ?? nowMs) >= LOOK_MS)
      this.#last = this.#look(nowMs);
    return this.#last;
  }

  async #look(atMs: number): Promise<DiskFigures> {
    const [{ bavail, bsize }, index, wal, log, archive] = await Promise.all([
      statfs(this.#directory),
      bytesOf(join(this.#directory, 'payments.db')),
      bytesOf(join(this.#directory, 'payments.db-wal')),
      bytesIn(join(this.#directory, 'log')),
      bytesIn(join(this.#directory, 'archive')),
    ]);
    this.#looks = this.#looks.filter(look => atMs - look.atMs <= HOUR_IN_MS);
    this.#looks.push({ atMs, lastingBytes: index + archive });
    const freeBytes = bavail * bsize;
    return {
      usedBytes: index + wal + log + archive,
      freeBytes,
      daysLeft: daysUntilFull(this.#looks, freeBytes),
    };
  }
}

/** Of looks in order: how many days `freeBytes` last. */
export function daysUntilFull(looks: readonly DiskLook[], freeBytes: number): number | null {
  const [first, last] = [looks[0], looks.at(-1)];
  if (first === undefined || last === undefined || last.atMs - first.atMs < RATE_MS) return null;
  const perDay = ((last.lastingBytes - first.lastingBytes) / (last.atMs - first.atMs)) * 24 * HOUR_IN_MS;
  return perDay > 0 ? freeBytes / perDay : null;
}

async function bytesOf(path: string): Promise<number> {
  return (await stat(path).catch(() => ({ size: 0 }))).size;
}

async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => []);
  const sizes = await Promise.all(names.map(name => bytesOf(join(directory, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
