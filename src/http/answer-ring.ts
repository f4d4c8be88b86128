/**
 * The answers that one connection owes, in the order of their requests: a ring of places, one for each
 * request, that grows with the depth of the pipeline.
 *
 * An answer may be there at once, wait for the commit of its turn, or be promised; what is behind it waits
 * with it. A place stays the same object until its answer is taken, so a promise can hold on to its own.
 */

import { placeBytes } from './limits.ts';
import { type Answer, SAY_CLOSE } from './response.ts';

// What an answer waits for; a positive number is the commit it waits for.
const READY = 0;
const PROMISED = -1;

const placesMin = 4;
/** An empty ring keeps no more places than this. */
const placesKept = 16;

/** What one request is owed. */
export class OwedAnswer {
  answer: Answer | undefined;
  waitsFor = READY;
  /** Of those that wait for that commit, in the order of their requests. */
  place = 0;
  /** How the request wants it: bits of `response.ts`. */
  wish = 0;
  /** What ECHO_ID wishes to have echoed. */
  requestId = '';
  /** Method and route, packed: `method * 256 + route`. */
  kind = 0;
  startedMs = 0;
  /** What it takes, as far as it is known: a promised answer takes only its place. */
  byteCount = 0;

  get isReady(): boolean {
    return this.waitsFor === READY;
  }
}

/**
 * What became of the answers that waited for a commit: all may go; all give way to what they say otherwise;
 * or, by their places, each gives way to another, undefined for none.
 */
export type Committed = boolean | ((place: number) => Answer | undefined);

export class AnswerRing {
  /** The places from `first` up to `next` are taken, masked. */
  #places = places(placesMin);
  /** What all answers take together, in bytes. */
  byteCount = 0;
  #first = 0;
  #next = 0;

  /** Requests without their answer on the way. */
  get size(): number {
    return this.#next - this.#first;
  }

  /** The oldest; only where there is one. */
  get first(): OwedAnswer {
    return this.#places[this.#first & (this.#places.length - 1)]!;
  }

  /** The youngest; only where there is one. */
  get last(): OwedAnswer {
    return this.#places[(this.#next - 1) & (this.#places.length - 1)]!;
  }

  /** A place behind all others, whose answer is promised. */
  push(wish: number, requestId: string, kind: number, nowMs: number): OwedAnswer {
    if (this.size === this.#places.length) this.#grow();
    this.#next++;
    const owed = this.last;
    owed.waitsFor = PROMISED;
    owed.wish = wish;
    owed.requestId = requestId;
    owed.kind = kind;
    owed.startedMs = nowMs;
    owed.byteCount = placeBytes + requestId.length;
    this.byteCount += owed.byteCount;
    return owed;
  }

  /** An answer is there: it may go, or waits for `batch` if it promises something. */
  settle(owed: OwedAnswer, answer: Answer, batch: number, place: number): void {
    owed.answer = answer;
    owed.waitsFor = answer.otherwise === undefined ? READY : batch;
    owed.place = place;
    if (answer.ending !== 'keep') owed.wish |= SAY_CLOSE;
    const byteCount = answer.byteCount(owed.wish);
    owed.byteCount += byteCount;
    this.byteCount += byteCount;
  }

  /** Gives up the first place, whose answer was taken; it holds on to nothing. */
  shift(): void {
    const owed = this.first;
    owed.answer = undefined;
    owed.requestId = '';
    this.byteCount -= owed.byteCount;
    this.#first++;
    if (this.size === 0 && this.#places.length > placesKept) this.#places = places(placesMin);
  }

  /**
   * The commit `batch` ended; the answers that waited for it may go, or give way to another.
   */
  decide(batch: number, committed: Committed): void {
    const mask = this.#places.length - 1;
    for (let at = this.#first; at < this.#next; at++) {
      const owed = this.#places[at & mask]!;
      if (owed.waitsFor !== batch) continue;
      owed.waitsFor = READY;
      const { otherwise } = owed.answer!;
      if (committed === false) owed.answer = otherwise;
      else if (committed !== true) owed.answer = committed(owed.place) ?? owed.answer;
    }
  }

  /** Twice the places, the taken ones in their order from the beginning on. */
  #grow(): void {
    const { size } = this;
    const mask = this.#places.length - 1;
    const grown = places(this.#places.length * 2, size);
    for (let at = 0; at < size; at++) grown[at] = this.#places[(this.#first + at) & mask]!;
    this.#places = grown;
    this.#first = 0;
    this.#next = size;
  }
}

/** `count` places, of which the first `filled` are left to fill. */
function places(count: number, filled = 0): OwedAnswer[] {
  const made: OwedAnswer[] = new Array(count);
  for (let at = filled; at < count; at++) made[at] = new OwedAnswer();
  return made;
}
