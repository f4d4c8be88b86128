/** Settlements that the store does not have yet. */
import type { Clock } from '../domain/clock.ts';
import { addCents, type Total } from '../domain/money.ts';
import { PROCESSORS, type Processor, type ProcessorIndex } from '../domain/payment.ts';
import { type Batch, CENTS, COLUMNS, KIND, PROCESSOR, REQUESTED_AT, SETTLE } from '../storage/batch.ts';
import type { BatchPace } from './batch-pace.ts';

export interface UnwrittenSettlement {
  readonly slot: number;
  /** Wall clock, ms. */
  readonly settledAtMs: number;
}

/** Those that are in no batch yet. A settlement is the last row of its payment, so any may overtake it. */
export class WaitingSettlements {
  readonly #clock: Clock;
  readonly #pace: BatchPace | undefined;
  #all: UnwrittenSettlement[] = [];
  #sinceMs = 0;

  /** Without a pace none waits. */
  constructor(clock: Clock, pace: BatchPace | undefined) {
    this.#clock = clock;
    this.#pace = pace;
  }

  get count(): number {
    return this.#all.length;
  }

  /** In how many ms they are due; 0: now, Infinity: there are none. */
  get waitMs(): number {
    if (this.#all.length === 0) return Infinity;
    return this.#pace?.settledWaitMs(this.#clock.monotonicMs() - this.#sinceMs, this.#all.length) ?? 0;
  }

  add(settlement: UnwrittenSettlement): void {
    if (this.#all.length === 0) this.#sinceMs = this.#clock.monotonicMs();
    this.#all.push(settlement);
  }

  take(): readonly UnwrittenSettlement[] {
    return this.#all.splice(0);
  }
}

/** Adds the settlements of a window that are in a batch; bounds as in `Store.summary`. */
export function addSettlements(
  totals: Readonly<Record<Processor, Total>>,
  { rows, count }: Batch,
  fromMs: number,
  toMs: number,
): void {
  for (let start = 0; start < count * COLUMNS; start += COLUMNS) {
    const atMs = rows[start + REQUESTED_AT]!;
    if (rows[start + KIND] !== SETTLE || atMs < fromMs || atMs > toMs) continue;
    addCents(totals[PROCESSORS[rows[start + PROCESSOR] as ProcessorIndex]], rows[start + CENTS]!);
  }
}
