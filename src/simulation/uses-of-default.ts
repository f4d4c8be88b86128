/** Who uses default, and since when nobody does: what the deadline for fallback depends on. */
import type { Process } from './event-loop.ts';

export class UsesOfDefault {
  readonly #nowMs: () => number;
  /** Attempts that each process has at work, and when the last one left or ended. */
  readonly #of = new Map<Process, { readonly atWork: number; readonly untilMs: number }>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** An attempt leaves (1), or has ended (-1). */
  count(process: Process, by: 1 | -1): void {
    this.#of.set(process, { atWork: (this.#of.get(process)?.atWork ?? 0) + by, untilMs: this.#nowMs() });
  }

  /** No payment could have been in the way of another, there or being looked up, for `forMs`. */
  isIdle(process: Process, forMs: number): boolean {
    const { atWork, untilMs } = this.#of.get(process) ?? { atWork: 0, untilMs: -Infinity };
    return atWork === 0 && this.#nowMs() - untilMs > forMs;
  }
}
