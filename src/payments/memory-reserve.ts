/**
 * The memory that no new payment gets, of a process that has a limit: what is accepted has to be sent,
 * settled and booked, and a process that goes over its limit is killed.
 *
 *      used bytes   ─────────── the limit: here the kernel kills
 *                   ─────────── refused above here, while there is a queue that takes memory
 *                   ─────────── taken again below here
 *
 * A runtime that does not know of the limit keeps garbage for as long as it likes: so it is made to collect
 * it first, and what is left counts. Nobody is refused while few wait: refusing frees nothing that payments
 * do not take. Pure but for `used` and `collect`.
 */
import { FallRate } from './fall-rate.ts';

const MiB = 1024 * 1024;

/** Under full load a backend takes some 2 MiB more in this time; a look takes 50 µs. */
const LOOK_MS = 100;
/** A collection takes some 20 ms. */
const COLLECT_MS = 1000;
/** Of the limit; the rest is the kernel's for this process, and for pages of files that it uses. */
const HIGH_SHARE = 5 / 6;
const LOW_SHARE = 4 / 5;
/** So few are taken in any case: it is not they that take the memory, and with them it goes on. */
const QUEUE_MIN = 128;

/** The memory of a process. */
export interface ProcessMemory {
  /** What it may have; Infinity: as much as there is. */
  readonly limitBytes: number;
  /** What it has that is not in a file; undefined when that cannot be known, which says nothing. */
  readonly used: () => number | undefined;
  /** Throws garbage away; undefined: the runtime does not let anybody ask for that. */
  readonly collect?: (() => void) | undefined;
}

export class MemoryReserve {
  readonly #memory: ProcessMemory;
  readonly #fall = new FallRate();
  #lookedMs = -Infinity;
  #collectedMs = -Infinity;
  #usedBytes = 0;
  #isHigh = false;
  #isLow = false;

  constructor(memory: ProcessMemory) {
    this.#memory = memory;
  }

  /** Whether new payments have to be refused, at this instant of the monotonic clock, with so many queued. */
  isLow(nowMs: number, queued: number): boolean {
    if (nowMs - this.#lookedMs >= LOOK_MS) this.#look(nowMs);
    this.#isLow = this.#isHigh && queued >= QUEUE_MIN;
    return this.#isLow;
  }

  /** For a client that was refused: whole seconds, by how fast memory comes back. */
  get waitSeconds(): number {
    if (!this.#isLow) return 1;
    return this.#fall.secondsFor(this.#usedBytes - this.#memory.limitBytes * LOW_SHARE);
  }

  get reason(): string {
    const { limitBytes } = this.#memory;
    const inMiB = (bytes: number): string => (bytes / MiB).toFixed(1);
    return (
      `the backend has ${inMiB(this.#usedBytes)} MiB of memory, of ${inMiB(limitBytes)} MiB that it may have ` +
      `(payments are taken again below ${inMiB(limitBytes * LOW_SHARE)} MiB)`
    );
  }

  #look(nowMs: number): void {
    this.#lookedMs = nowMs;
    const { limitBytes, used, collect } = this.#memory;
    const mark = limitBytes * (this.#isHigh ? LOW_SHARE : HIGH_SHARE);
    let usedBytes = used();
    if (usedBytes !== undefined && usedBytes >= mark && nowMs - this.#collectedMs >= COLLECT_MS) {
      this.#collectedMs = nowMs;
      collect?.();
      usedBytes = used();
    }
    if (usedBytes === undefined) return;
    this.#usedBytes = usedBytes;
    this.#fall.at(nowMs, -usedBytes);
    this.#isHigh = usedBytes >= mark;
  }
}
