/**
 * The payments of this instance that only the store holds. When the ready queue is well filled, new payments
 * are stored and let go of (parked), and come back in order of arrival, so that memory stays bounded however
 * long a processor is away.
 *
 * Nothing overtakes: as long as the store may hold a parked payment, whatever comes in is parked behind it.
 */
import assert from 'node:assert/strict';
import type { Clock } from '../domain/clock.ts';
import { idWords, type StoredPayment } from '../domain/payment.ts';
import { type Store, StoreFault } from '../storage/ports.ts';
import { Departed } from './departed.ts';
import { NONE, type PaymentPool } from './payment-pool.ts';
import type { ReadyQueue } from './ready-queue.ts';

const REFILL_BATCH = 2048;
const REFILL_RETRY_MS = 200;

export interface OverflowParts {
  readonly pool: PaymentPool;
  readonly ready: ReadyQueue;
  readonly store: Store;
  readonly clock: Clock;
  /** Unsettled payments that the store holds for this instance from before. */
  readonly parked: boolean;
  /** Payments came back, or more of them may. */
  readonly wake: () => void;
}

export class Overflow {
  readonly #parts: OverflowParts;
  readonly #lanesMax: number;
  /** 1 from a payment's entry until it is stored: then its slot is given back. */
  readonly #overflow: Uint8Array;
  #parkingCount = 0;
  #storeHasMore: boolean;
  /** A parked payment was stored after the store was last asked for some. */
  #parkedSince = false;
  /** Payments were adopted after the store was last asked for some: its answer need not have them. */
  #adoptedSince = false;
  /** While the store has more: every payment of ours that is not held here has a later seq. */
  #cursor = 0;
  /** What comes back up to this seq may be older than what is held here: it was adopted. */
  #adoptedTo = 0;
  readonly #departed = new Departed();
  #closed = false;

  constructor(parts: OverflowParts) {
    const { capacity } = parts.pool;
    this.#parts = parts;
    this.#overflow = new Uint8Array(capacity);
    this.#lanesMax = Math.max(1, Math.min(Math.floor(capacity / 4), 16_384));
    this.#storeHasMore = parts.parked;
  }

  /** Room for more payments from the store or from a dead instance. */
  get room(): number {
    const { pool, ready } = this.#parts;
    return Math.max(0, Math.min(this.#lanesMax - ready.size, pool.capacity - pool.size));
  }

  /** Whether a new payment is parked. If so, `stored` has to be called for it. */
  takes(slot: number): boolean {
    const park = this.#storeHasMore || this.#parkingCount > 0 || this.#parts.ready.size >= this.#lanesMax;
    this.#overflow[slot] = park ? 1 : 0;
    if (park) this.#parkingCount += 1;
    return park;
  }

  /**
   * The store answered a payment's first row; `seq` as it answered. True if it was parked: then its slot can
   * be freed.
   */
  stored(slot: number, seq: number): boolean {
    if (this.#overflow[slot] === 1) {
      this.#overflow[slot] = 0;
      this.#parkingCount -= 1;
      assert(this.#parkingCount >= 0);
      // Another instance may have been first with this id: then it is not ours to bring back.
      if (seq > 0) {
        this.#storeHasMore = true;
        this.#parkedSince = true;
      }
      return true;
    }
    if (seq > this.#cursor && !this.#storeHasMore) this.#cursor = seq;
    return false;
  }

  /**
   * The store holds more payments that are ours, having been another instance's: they may be older than any
   * here.
   */
  adopted(): void {
    this.#adoptedTo = Math.max(this.#adoptedTo, this.#cursor);
    this.#cursor = 0;
    this.#storeHasMore = true;
    this.#adoptedSince = true;
  }

  /** The store has that a payment is settled or held, so it leaves. */
  left(seq: number): void {
    this.#departed.left(seq);
  }

  /** Brings parked payments back, oldest first, while there is room. */
  refill(): void {
    const { ready, store, clock, wake } = this.#parts;
    if (!this.#storeHasMore || this.#departed.isAsking || ready.size > this.#lanesMax / 2) return;
    const limit = Math.min(this.room, REFILL_BATCH);
    if (limit === 0) return;
    this.#departed.asks();
    this.#parkedSince = false;
    this.#adoptedSince = false;
    store.take(this.#cursor, limit, answer => {
      this.#departed.answered();
      if (this.#closed) return;
      if (answer instanceof StoreFault) {
        clock.after(REFILL_RETRY_MS, wake);
        return;
      }
      assert(answer.length <= limit);
      if (this.#adoptedSince) {
        wake();
        return;
      }
      let restored = 0;
      while (
        restored < answer.length &&
        (this.#departed.has(answer[restored]!.seq) || this.#restore(answer[restored]!))
      ) {
        assert(answer[restored]!.seq > this.#cursor, 'the store gave parked payments out of order');
        this.#cursor = answer[restored]!.seq;
        restored += 1;
      }
      if (restored < answer.length) clock.after(REFILL_RETRY_MS, wake);
      else if (answer.length < limit && !this.#parkedSince) this.#storeHasMore = false;
      if (restored > 0 || !this.#storeHasMore) wake();
    });
  }

  /** The store's answers are ignored from now on. */
  close(): void {
    this.#closed = true;
  }

  /** Holds a payment of ours that the store has; false: not now. */
  #restore(payment: StoredPayment): boolean {
    const { pool, ready, clock } = this.#parts;
    const held = pool.find(idWords(payment.id));
    // One without a seq came in here a second time, and goes as soon as the store says that it knows it.
    if (held !== NONE) return pool.seq[held]! > 0;
    const slot = pool.restore(payment, clock);
    if (slot === NONE) return false;
    this.#overflow[slot] = 0;
    ready.enter(slot, payment.seq <= this.#adoptedTo);
    return true;
  }
}
