/**
 * The payments at work in this instance: a ring of preallocated slots in typed arrays, and an index from
 * correlationId to slot. Nothing is allocated for a payment between its acceptance and its settlement.
 *
 * A slot is a number, and the slot freed last is used first: memory that was never needed is never touched
 * (24 MB less resident than in turn). Each carries a version that rises when it is freed: an answer that
 * comes back for an earlier tenant finds another version.
 */
import assert from 'node:assert/strict';
import { FixedStack } from 'mnemonist';
import type { Clock } from '../domain/clock.ts';
import {
  DEFAULT,
  idText,
  idWords,
  NOT_HELD,
  PINNED,
  type ProcessorIndex,
  SETTLED,
  type State,
  type StoredPayment,
  WAITING,
  writeIdBytes,
} from '../domain/payment.ts';
import { recovered } from '../domain/settlement.ts';
import { UNSUSPECTED } from '../domain/suspicion.ts';
import { Traces } from '../domain/trace-context.ts';

export const NONE = -1;
/**
 * In place of a state: no search finds it, but it is still in the ready queue, which frees it in its turn.
 */
export const RETIRED = 255;

export class PaymentPool {
  readonly capacity: number;
  /** Four words a slot. */
  readonly words: Int32Array;
  readonly cents: Float64Array;
  readonly acceptedAtMs: Float64Array;
  /** When it was accepted, on the monotonic clock; Infinity in a free slot. */
  readonly acceptedMonotonicMs: Float64Array;
  /** The store's number of the payment; 0 until the store has it. */
  readonly seq: Float64Array;
  /** As in `StoredPayment`. */
  readonly origin: Float64Array;
  readonly requestedAtMs: Float64Array;
  readonly state: Uint8Array;
  readonly processor: Uint8Array;
  readonly attempts: Uint32Array;
  readonly tries: Uint16Array;
  /** Why it is held: a place in `HOLD_REASONS`. */
  readonly held: Uint8Array;
  /** What its attempts say of the payment itself, see `suspicion`. */
  readonly suspicion: Uint8Array;
  /**
   * When the first of the attempts in a row left that failed on its present processor, monotonic; 0: none.
   */
  readonly failedFirstMs: Float64Array;
  /** Attempts in a row that failed, for the pauses. */
  readonly failures: Uint16Array;
  /**
   * 1 while the store is at work on the payment's first row: until it answers, there is no seq to speak of.
   */
  readonly storing: Uint8Array;
  /** 1: both processors have to be asked for it before anything of it leaves. */
  readonly uncertain: Uint8Array;
  readonly version: Uint32Array;
  readonly traces: Traces;
  /** Slots that were given back. To list those that were never used, too, would take 5 ms of each start. */
  readonly #free: FixedStack<number>;
  /** Open addressing, linear probing, at most half full: slot + 1, or 0 for an empty place. */
  readonly #index: Int32Array;
  readonly #mask: number;
  readonly #bytes = new Uint8Array(16);
  /** No slot from here on was ever used. */
  #top = 0;

  constructor(capacity: number) {
    assert(Number.isInteger(capacity) && capacity > 0 && capacity <= 2 ** 24);
    this.capacity = capacity;
    this.words = new Int32Array(capacity * 4);
    this.cents = new Float64Array(capacity);
    this.acceptedAtMs = new Float64Array(capacity);
    this.acceptedMonotonicMs = new Float64Array(capacity);
    this.seq = new Float64Array(capacity);
    this.origin = new Float64Array(capacity);
    this.requestedAtMs = new Float64Array(capacity);
    this.state = new Uint8Array(capacity);
    this.processor = new Uint8Array(capacity);
    this.attempts = new Uint32Array(capacity);
    this.tries = new Uint16Array(capacity);
    this.held = new Uint8Array(capacity);
    this.suspicion = new Uint8Array(capacity);
    this.failedFirstMs = new Float64Array(capacity);
    this.failures = new Uint16Array(capacity);
    this.storing = new Uint8Array(capacity);
    this.uncertain = new Uint8Array(capacity);
    this.version = new Uint32Array(capacity);
    this.traces = new Traces(capacity);
    this.#free = new FixedStack(Int32Array, capacity);
    const places = 2 ** Math.ceil(Math.log2(capacity * 2));
    this.#index = new Int32Array(places);
    this.#mask = places - 1;
  }

  /** Payments held. */
  get size(): number {
    return this.#top - this.#free.size;
  }

  /** A slot for a new payment, entered in the index, its other fields zeroed; NONE when all are taken. */
  add(id: ArrayLike<number>, cents: number, acceptedAtMs: number, nowMs: number): number {
    const slot = this.#free.pop() ?? this.#top;
    if (slot === this.capacity) return NONE;
    if (slot === this.#top) this.#top += 1;
    this.words[slot * 4] = id[0]!;
    this.words[slot * 4 + 1] = id[1]!;
    this.words[slot * 4 + 2] = id[2]!;
    this.words[slot * 4 + 3] = id[3]!;
    this.cents[slot] = cents;
    this.acceptedAtMs[slot] = acceptedAtMs;
    this.acceptedMonotonicMs[slot] = nowMs;
    this.seq[slot] = 0;
    this.requestedAtMs[slot] = 0;
    this.state[slot] = WAITING;
    this.processor[slot] = 0;
    this.attempts[slot] = 0;
    this.tries[slot] = 0;
    this.held[slot] = NOT_HELD;
    this.suspicion[slot] = UNSUSPECTED;
    this.failedFirstMs[slot] = 0;
    this.failures[slot] = 0;
    this.storing[slot] = 0;
    this.uncertain[slot] = 0;
    this.traces.forget(slot);
    let place = hash(id, 0) & this.#mask;
    while (this.#index[place] !== 0) place = (place + 1) & this.#mask;
    this.#index[place] = slot + 1;
    return slot;
  }

  /** A slot with a payment that the store has, as if it had been found after a crash; NONE as for `add`. */
  restore(payment: StoredPayment, clock: Clock): number {
    const { id, cents, acceptedAtMs } = payment;
    const waitedMs = Math.max(0, clock.wallMs() - acceptedAtMs);
    const slot = this.add(idWords(id), cents, acceptedAtMs, clock.monotonicMs() - waitedMs);
    if (slot === NONE) return NONE;
    this.seq[slot] = payment.seq;
    this.origin[slot] = payment.origin;
    this.requestedAtMs[slot] = payment.requestedAtMs;
    this.state[slot] = recovered(payment.state);
    this.uncertain[slot] = payment.isUncertain ? 1 : 0;
    this.processor[slot] = payment.processor ?? DEFAULT;
    this.attempts[slot] = payment.attempts;
    this.tries[slot] = payment.tries;
    this.held[slot] = payment.held;
    return slot;
  }

  /** The slot of an id (four words), or NONE. */
  find(id: ArrayLike<number>): number {
    let place = hash(id, 0) & this.#mask;
    for (;;) {
      const slot = this.#index[place]! - 1;
      if (slot < 0) return NONE;
      const at = slot * 4;
      const { words } = this;
      if (
        words[at] === id[0] &&
        words[at + 1] === id[1] &&
        words[at + 2] === id[2] &&
        words[at + 3] === id[3]
      ) {
        return slot;
      }
      place = (place + 1) & this.#mask;
    }
  }

  /** Gives a slot back. */
  free(slot: number): void {
    if (this.state[slot] !== RETIRED) this.#unindex(slot);
    this.version[slot]! += 1;
    this.acceptedMonotonicMs[slot] = Infinity;
    this.#free.push(slot);
  }

  /**
   * Takes a payment that turned out not to be ours out of the index. The ready queue frees its slot.
   */
  retire(slot: number): void {
    this.#unindex(slot);
    this.state[slot] = RETIRED;
  }

  /**
   * A pass over all that was ever used, for figures: pinned payments, and the earliest acceptance (Infinity:
   * none).
   */
  look(): { pinned: number; oldestMs: number } {
    const { state, acceptedMonotonicMs } = this;
    let pinned = 0;
    let oldestMs = Infinity;
    for (let slot = 0; slot < this.#top; slot++) {
      const acceptedMs = acceptedMonotonicMs[slot]!;
      if (acceptedMs === Infinity || state[slot] === SETTLED) continue;
      if (acceptedMs < oldestMs) oldestMs = acceptedMs;
      if (state[slot] === PINNED) pinned++;
    }
    return { pinned, oldestMs };
  }

  stateOf(slot: number): State {
    return this.state[slot] as State;
  }

  processorOf(slot: number): ProcessorIndex {
    return this.processor[slot] as ProcessorIndex;
  }

  /** The correlationId as text. */
  textOf(slot: number): string {
    writeIdBytes(this.words, slot * 4, this.#bytes, 0);
    return idText(this.#bytes);
  }

  /**
   * Removes a slot from the index and closes the gap, so that no search stops early (Knuth, TAOCP 6.4, R).
   */
  #unindex(slot: number): void {
    const index = this.#index;
    let gap = hash(this.words, slot * 4) & this.#mask;
    while (index[gap] !== slot + 1) {
      assert(index[gap] !== 0, 'a slot that is not in use was freed');
      gap = (gap + 1) & this.#mask;
    }
    let place = gap;
    for (;;) {
      place = (place + 1) & this.#mask;
      const entry = index[place]!;
      if (entry === 0) break;
      const home = hash(this.words, (entry - 1) * 4) & this.#mask;
      // The entry may move back only if its home does not lie behind the gap, seen cyclically.
      if (((place - home) & this.#mask) >= ((place - gap) & this.#mask)) {
        index[gap] = entry;
        gap = place;
      }
    }
    index[gap] = 0;
  }
}

/** Mixes four words: ids need not be random (a client may count), so all of them take part. */
export function hash(words: ArrayLike<number>, at: number): number {
  let mixed = Math.imul(words[at]! ^ (words[at + 1]! >>> 15), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13) ^ words[at + 1]!, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 16) ^ words[at + 2]!, 0x27d4eb2f);
  mixed = Math.imul(mixed ^ (mixed >>> 15) ^ words[at + 3]!, 0x165667b1);
  return mixed ^ (mixed >>> 16);
}
