/**
 * Whether a session takes new payments, and when a client that was refused may come again. What is too much
 * is refused while there is room to settle the rest: in memory and on the store's disk.
 *
 * Of memory an eighth is kept for payments that come back from the store or from a dead instance. A queue
 * that was too long has to fall by as much again before it takes more: with one mark each client there would
 * be taken or refused by chance.
 */
import type { DiskReserve } from './disk-reserve.ts';
import { FallRate } from './fall-rate.ts';
import type { MemoryReserve } from './memory-reserve.ts';
import type { PaymentPool } from './payment-pool.ts';

const HIGH_SHARE = 7 / 8;
const LOW_SHARE = 6 / 8;

export class Intake {
  readonly #pool: Pick<PaymentPool, 'size' | 'capacity'>;
  /** Undefined where the store's disk is not this machine's. */
  readonly #disk: DiskReserve | undefined;
  /** Undefined where the process may have as much as there is. */
  readonly #memory: MemoryReserve | undefined;
  readonly #highMark: number;
  readonly #lowMark: number;
  readonly #drain = new FallRate();
  #admitted = 0;
  #isQueueFull = false;

  constructor(pool: Pick<PaymentPool, 'size' | 'capacity'>, disk?: DiskReserve, memory?: MemoryReserve) {
    this.#pool = pool;
    this.#disk = disk;
    this.#memory = memory;
    this.#highMark = Math.floor(pool.capacity * HIGH_SHARE);
    this.#lowMark = Math.floor(pool.capacity * LOW_SHARE);
  }

  /** Whether one more is taken, at this instant of the monotonic clock. */
  takes(nowMs: number): boolean {
    const { size } = this.#pool;
    // All that leaves counts, wherever it goes: to a processor, or to the store until its turn comes.
    this.#drain.at(nowMs, this.#admitted - size);
    this.#isQueueFull = this.#isQueueFull ? size > this.#lowMark : size >= this.#highMark;
    const isMemoryLow = this.#memory?.isLow(nowMs, size) === true;
    return !(this.#isQueueFull || isMemoryLow || this.#disk?.isLow(nowMs) === true);
  }

  /** One was taken. */
  took(): void {
    this.#admitted += 1;
  }

  /** For `Retry-After`, after `takes` said no: whole seconds, 1 to 60. */
  get waitSeconds(): number {
    const forQueue = this.#isQueueFull ? this.#drain.secondsFor(this.#pool.size - this.#lowMark) : 1;
    return Math.max(forQueue, this.#disk?.waitSeconds ?? 1, this.#memory?.waitSeconds ?? 1);
  }

  /** Why it does not take any, for people; empty when it does. */
  reasons(nowMs: number): string[] {
    if (this.takes(nowMs)) return [];
    const isDiskLow = this.#disk?.isLow(nowMs) === true;
    const isMemoryLow = this.#memory?.isLow(nowMs, this.#pool.size) === true;
    return [
      ...(this.#isQueueFull ? ['the queue is full'] : []),
      ...(isDiskLow ? [this.#disk!.reason] : []),
      ...(isMemoryLow ? [this.#memory!.reason] : []),
    ];
  }
}
