/**
 * Time that passes only when told to: what was due happens in order, at its instant, and nothing waits.
 */
import { Heap } from 'mnemonist';
import type { Timer } from '../domain/clock.ts';
import type { ProcessorClock } from '../processor-simulator/processor.ts';

interface Due {
  readonly atMs: number;
  /** Of two that are due at one instant, the one that was asked for first comes first. */
  readonly order: number;
  task: (() => void) | undefined;
}

export class VirtualClock implements ProcessorClock {
  #nowMs = 0;
  #order = 0;
  readonly #due = new Heap<Due>((a, b) => a.atMs - b.atMs || a.order - b.order);

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, task: () => void): Timer {
    const due: Due = { atMs: this.#nowMs + delayMs, order: this.#order++, task };
    this.#due.push(due);
    return {
      cancel() {
        due.task = undefined;
      },
    };
  }

  /** Lets `ms` pass and does what is due until then, what that asks for included. */
  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#due.peek(); next !== undefined && next.atMs <= untilMs; next = this.#due.peek()) {
      this.#due.pop();
      this.#nowMs = next.atMs;
      next.task?.();
    }
    this.#nowMs = untilMs;
  }
}
