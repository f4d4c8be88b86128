/** Time that passes only by `pass`: what is due happens in order, at its instant, and nothing waits. */
import type { Timer } from '../domain/clock.ts';
import type { ProcessorClock } from '../processor-simulator/processor.ts';
import { EventLoop } from '../simulation/event-loop.ts';

export class VirtualClock implements ProcessorClock {
  readonly #loop = new EventLoop();

  monotonicMs(): number {
    return this.#loop.nowMs;
  }

  after(delayMs: number, task: () => void): Timer {
    return this.#loop.after(delayMs, undefined, task);
  }

  /** Lets `ms` pass and does what is due until then, what that asks for included. */
  pass(ms: number): void {
    const untilMs = this.#loop.nowMs + ms;
    while (this.#loop.step(untilMs)) {}
  }
}
