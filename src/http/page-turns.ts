/**
 * Pages give way to payments: in one turn of the event loop only so many are answered, and those beyond wait
 * for later turns, each of which takes in the payments that came meanwhile first.
 */
import { Queue } from 'mnemonist';
import { pagesATurn } from './limits.ts';
import type { MakePage } from './page.ts';
import type { Answer } from './response.ts';

export class PageTurns {
  readonly #perTurn: number;
  readonly #afterTurn: (run: () => void) => void;
  #left: number;
  #isArmed = false;
  readonly #waiting = new Queue<() => void>();

  /** `afterTurn` runs something after what can be read now was read. */
  constructor(perTurn = pagesATurn, afterTurn: (run: () => void) => void = setImmediate) {
    this.#perTurn = perTurn;
    this.#afterTurn = afterTurn;
    this.#left = perTurn;
  }

  /** The answer that `make` makes, now or when it is its turn. */
  answer(make: MakePage): Answer | Promise<Answer> {
    this.#arm();
    if (this.#left > 0) {
      this.#left--;
      return make();
    }
    return new Promise<void>(resolve => this.#waiting.enqueue(resolve)).then(make);
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    this.#afterTurn(this.#next);
  }

  readonly #next = (): void => {
    this.#isArmed = false;
    this.#left = this.#perTurn;
    for (; this.#left > 0 && this.#waiting.size > 0; this.#left--) this.#waiting.dequeue()!();
    if (this.#waiting.size > 0) this.#arm();
  };
}
