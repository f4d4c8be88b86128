/** Whether a store that had no room for new payments has some again: asked with an empty batch each time. */
import type { Clock, Timer } from '../domain/clock.ts';
import type { StoreFault } from '../storage/ports.ts';

export class RoomQuestion {
  readonly #clock: Clock;
  readonly #ask: () => void;
  readonly #afterMs: number;
  #timer: Timer | undefined;
  #isDue = false;
  /** What the store said when it was asked last; undefined: it has room, as far as is known. */
  fault: StoreFault | undefined;

  /** `ask`: it is time to, as soon as the store has no other batch. */
  constructor(clock: Clock, afterMs: number, ask: () => void) {
    this.#clock = clock;
    this.#afterMs = afterMs;
    this.#ask = ask;
  }

  /** A batch was written. */
  written(count: number): void {
    if (count === 0) this.fault = undefined;
    else if (this.fault !== undefined) this.askLater();
  }

  askLater(): void {
    this.#timer ??= this.#clock.after(this.#afterMs, () => {
      this.#timer = undefined;
      this.#isDue = true;
      this.#ask();
    });
  }

  /** Whether the next batch is to be the empty one, once. */
  takeTurn(): boolean {
    const isDue = this.#isDue;
    this.#isDue = false;
    return isDue;
  }

  close(): void {
    this.#timer?.cancel();
  }
}
