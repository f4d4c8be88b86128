/**
 * Whoever starts the backends and acts by hand: goes on from a start that is refused, as `docs/operating.md`
 * says, and resolves what is held because its processor has another address.
 */
import { HELD_URL, idText, type StoredPayment } from '../domain/payment.ts';
import type { Wish } from '../operator/hand.ts';
import type { Dice } from './dice.ts';
import type { Surroundings } from './surroundings.ts';

const LOOK_MS = 300;

/** Later than that nothing is recorded of what left before: 9 s of the network, 14 of processors. */
const LATEST_MS = 30_000;

export class Operator {
  readonly #world: Surroundings;
  readonly #dice: Dice;
  readonly #restart: (what: string) => void;
  #isDeciding = false;
  #changedAtMs = 0;

  /** `restart` stops all backends, and starts them again. */
  constructor(world: Surroundings, dice: Dice, restart: (what: string) => void) {
    this.#world = world;
    this.#dice = dice;
    this.#restart = restart;
  }

  /** Moves a processor to another address, with all backends stopped. */
  changeAddress(): true {
    const { addresses, eventLoop } = this.#world;
    this.#restart('has a processor at another address');
    addresses.change(this.#dice.pick([0, 1] as const), this.#dice);
    addresses.mayHold = false;
    if (this.#changedAtMs === 0) this.#look();
    this.#changedAtMs = eventLoop.nowMs;
    return true;
  }

  /** A backend does not start, as payments may be at the earlier address. */
  refused(): void {
    if (this.#isDeciding) return;
    this.#isDeciding = true;
    const { addresses, eventLoop } = this.#world;
    eventLoop.after(this.#dice.between(10, 1000), undefined, () => {
      this.#isDeciding = false;
      if (this.#dice.hits(0.5)) addresses.mayHold = true;
      else {
        this.#restart('has the earlier address again');
        addresses.goBack();
        addresses.mayHold = false;
      }
    });
  }

  #look(): void {
    const { eventLoop, memory } = this.#world;
    eventLoop.after(LOOK_MS, undefined, () => {
      for (const payment of memory.payments.values()) {
        const wish = payment.held === HELD_URL ? this.#wishFor(payment) : undefined;
        if (wish !== undefined) this.#ask(wish);
      }
      this.#look();
    });
  }

  #ask(wish: Wish): void {
    const listening = this.#world.backends.filter(backend => backend.listening);
    if (listening.length > 0) this.#dice.pick(listening).act(wish);
  }

  #wishFor(payment: StoredPayment): Wish | undefined {
    const { addresses, eventLoop } = this.#world;
    const { id, cents, processor: on } = payment;
    const given = { id, who: 'operator', reason: 'seen at the earlier address', anyway: true };
    const entry = on === undefined ? undefined : addresses.entry(on, idText(id));
    if (entry === undefined) {
      if (eventLoop.nowMs < this.#changedAtMs + LATEST_MS) return undefined;
      return { ...given, kind: 'retry', on: undefined, requestedAtMs: undefined };
    }
    if (entry.cents !== cents) return { ...given, kind: 'close', on: undefined, requestedAtMs: undefined };
    return { ...given, kind: 'settle', on, requestedAtMs: entry.requestedAtMs };
  }
}
