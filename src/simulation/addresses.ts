/**
 * The processors' addresses, as whoever starts the backends has them. Behind each address is another
 * processor, with a book of its own; what was sent to an earlier one is still recorded there.
 */
import { addTotal, emptyTotal, type Total } from '../domain/money.ts';
import { DEFAULT, FALLBACK, idTextWords, PROCESSORS, type ProcessorIndex } from '../domain/payment.ts';
import { type ProcessorClock, SimulatedProcessor } from '../processor-simulator/processor.ts';
import type { ProcessorUrls } from '../storage/ports.ts';
import type { Dice } from './dice.ts';

export interface BookEntry {
  readonly cents: number;
  readonly requestedAtMs: number;
}

export class SimulatedAddresses {
  /** Those that are asked now, by `ProcessorIndex`. */
  readonly processors: [SimulatedProcessor, SimulatedProcessor];
  /** All that ever were, by `ProcessorIndex`. */
  readonly all: readonly [SimulatedProcessor[], SimulatedProcessor[]];
  /** A start with other addresses holds what may be at the earlier ones. */
  mayHold = false;
  readonly #clock: ProcessorClock;
  #before: [SimulatedProcessor, SimulatedProcessor];

  constructor(clock: ProcessorClock) {
    this.#clock = clock;
    this.processors = [new SimulatedProcessor(0, clock), new SimulatedProcessor(1, clock)];
    this.#before = [...this.processors];
    this.all = [[this.processors[0]], [this.processors[1]]];
  }

  get urls(): ProcessorUrls {
    const url = (which: ProcessorIndex): string =>
      `http://${PROCESSORS[which]}-${this.all[which].indexOf(this.processors[which])}`;
    return [url(0), url(1)];
  }

  /** One processor is another one from now on, or one that it was before; nobody is at work. */
  change(which: ProcessorIndex, dice: Dice): void {
    this.#before = [...this.processors];
    const now = this.processors[which];
    const others = this.all[which].filter(other => other !== now);
    if (others.length > 0 && dice.hits(0.5)) {
      this.processors[which] = dice.pick(others);
      return;
    }
    const another = new SimulatedProcessor(which, this.#clock);
    Object.assign(another, { faults: now.faults, failing: now.failing, delayMs: now.delayMs });
    this.all[which].push(another);
    this.processors[which] = another;
  }

  /** As they were before the last change. */
  goBack(): void {
    [this.processors[0], this.processors[1]] = this.#before;
  }

  /** What processors of this name recorded, whichever. */
  total(which: ProcessorIndex, fromMs: number, toMs: number): Total {
    const sum = emptyTotal();
    for (const { book } of this.all[which]) addTotal(sum, book.total(fromMs, toMs));
    return sum;
  }

  /**
   * At the present address, or else at the latest of the others that has it: what a purge or a lost disk
   * forgot may be at several.
   */
  entry(which: ProcessorIndex, id: string): BookEntry | undefined {
    return this.#entries(which, id)[0];
  }

  /** Of a payment: what processors recorded it with, in cents. */
  amounts(id: string): number[] {
    return [DEFAULT, FALLBACK].flatMap(which =>
      this.#entries(which as ProcessorIndex, id).map(({ cents }) => cents),
    );
  }

  #entries(which: ProcessorIndex, id: string): BookEntry[] {
    const words = idTextWords(id);
    const now = this.processors[which];
    const others = this.all[which].filter(other => other !== now).toReversed();
    return [now, ...others].flatMap(({ book }) => {
      const row = book.find(words);
      return row < 0 ? [] : book.entry(row);
    });
  }
}
