/**
 * The way in to one backend, in place of `http/server`: requests are read while the process listens, payments
 * of one turn of the event loop are committed together, and a client of a process that dies gets no answer.
 */

import type { Summary } from '../domain/payment.ts';
import { Unavailable } from '../domain/unavailable.ts';
import type { OperatorHand, Wish } from '../operator/hand.ts';
import {
  ACCEPTED,
  type Acceptance,
  CONFLICT,
  type Kept,
  OVER_CAPACITY,
  type PaymentView,
  UNAVAILABLE,
} from '../payments/api.ts';
import type { Instance } from '../payments/instance.ts';
import type { Dice } from './dice.ts';
import type { EventLoop, Process } from './event-loop.ts';

/** What a client gets: a status, or nothing, because the process died. */
export type IngressAnswer = 202 | 409 | 503 | 'nothing';

const STATUS = { [ACCEPTED]: 202, [CONFLICT]: 409, [UNAVAILABLE]: 503, [OVER_CAPACITY]: 503 } as const;

interface Open {
  readonly process: Process;
  readonly lost: () => void;
}

export interface IngressParts {
  readonly eventLoop: EventLoop;
  readonly dice: Dice;
  /** A promise failed as none should. */
  crash(process: Process, error: unknown): void;
}

export class Ingress {
  readonly #parts: IngressParts;
  /** The process behind it; undefined: it is closed. */
  #host: { readonly process: Process; readonly instance: Instance } | undefined;
  /** Questions without an answer yet. */
  readonly #open = new Set<Open>();
  /** What this turn of the event loop will answer when it has committed. */
  #turn: ((acceptance: Acceptance) => void)[] = [];
  #turnIsDue = false;

  constructor(parts: IngressParts) {
    this.#parts = parts;
  }

  get isOpen(): boolean {
    return this.#host !== undefined;
  }

  /** Questions on their way. */
  get waiting(): number {
    return this.#open.size;
  }

  open(process: Process, instance: Instance): void {
    this.#host = { process, instance };
    this.#turn = [];
    this.#turnIsDue = false;
  }

  /** Nothing new is read. */
  close(): void {
    this.#host = undefined;
  }

  /** A `POST /payments` arrives. `generation`: of the session that reads it. */
  pay(
    id: Int32Array,
    cents: number,
    read: (generation: number) => void,
    told: (told: IngressAnswer, generation: number) => void,
  ): void {
    let generation = 0;
    this.#ask<IngressAnswer>(
      'nothing',
      status => told(status, generation),
      (process, instance, answer) => {
        generation = instance.session?.generation ?? 0;
        read(generation);
        const tell = (acceptance: Acceptance): void => answer(STATUS[acceptance]);
        const acceptance = instance.accept(id, cents);
        if (acceptance === ACCEPTED) this.#atEndOfTurn(process, instance, tell);
        else tell(acceptance);
      },
    );
  }

  /** A `GET /payments/{id}` arrives; null: `503`, or the process died. */
  find(id: Uint8Array, told: (view: PaymentView | undefined | null) => void): void {
    this.#ask<PaymentView | undefined | null>(null, told, (process, instance, answer) => {
      this.#promise(process, instance.find(id), answer, () => answer(null));
    });
  }

  /** A `GET /payments-summary` arrives. */
  summary(fromMs: number, toMs: number, told: (summary: Summary | null) => void): void {
    this.#ask<Summary | null>(null, told, (process, instance, answer) => {
      this.#promise(process, instance.summary(fromMs, toMs), answer, () => answer(null));
    });
  }

  /** A `POST /purge-payments` arrives. */
  purge(told: (done: boolean) => void): void {
    this.#ask<boolean>(false, told, (process, instance, answer) => {
      this.#promise(
        process,
        instance.purge(),
        () => answer(true),
        () => answer(false),
      );
    });
  }

  /** An operator's act arrives, as a `POST` of the dashboard. */
  act(hand: OperatorHand, wish: Wish): void {
    this.#ask<undefined>(
      undefined,
      () => {},
      (process, _instance, answer) =>
        this.#promise(
          process,
          hand.handle(wish),
          () => answer(undefined),
          () => answer(undefined),
        ),
    );
  }

  /** Closes every connection. */
  hangUp(process: Process): void {
    const lost = [...this.#open].filter(open => open.process === process);
    for (const open of lost) {
      this.#open.delete(open);
      open.lost();
    }
  }

  /** Lets the process read a request: at once, or when it goes on. */
  deliver(process: Process, task: () => void): void {
    const { eventLoop } = this.#parts;
    if (process.stopped || process.isPreempted) eventLoop.after(0, process, task);
    else {
      eventLoop.active = process;
      task();
    }
  }

  /** Has the process answer a question, once; `none` where it dies first or does not listen. */
  #ask<T>(
    none: T,
    told: (answer: T) => void,
    question: (process: Process, instance: Instance, answer: (value: T) => void) => void,
  ): void {
    if (this.#host === undefined) {
      told(none);
      return;
    }
    const { process, instance } = this.#host;
    const open: Open = { process, lost: () => told(none) };
    this.#open.add(open);
    this.deliver(process, () =>
      question(process, instance, value => {
        if (this.#open.delete(open)) told(value);
      }),
    );
  }

  #promise<T>(process: Process, promise: Promise<T>, then: (value: T) => void, failed: () => void): void {
    process.promises += 1;
    promise.then(
      value => {
        process.promises -= 1;
        then(value);
      },
      error => {
        process.promises -= 1;
        if (error instanceof Unavailable) failed();
        else this.#parts.crash(process, error);
      },
    );
  }

  #atEndOfTurn(process: Process, instance: Instance, tell: (acceptance: Acceptance) => void): void {
    this.#turn.push(tell);
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    const { eventLoop, dice } = this.#parts;
    eventLoop.after(dice.between(0, 0.3), process, () => {
      this.#turnIsDue = false;
      const turn = this.#turn;
      this.#turn = [];
      const kept = instance.commit(turn.length);
      const decide = (decided: Kept): void => {
        for (const [place, each] of turn.entries())
          each(typeof decided === 'boolean' ? (decided ? ACCEPTED : UNAVAILABLE) : decided(place));
      };
      if (kept instanceof Promise) this.#promise(process, kept, decide, () => decide(false));
      else decide(kept);
    });
  }
}
