/**
 * Which ids were ever accepted, as far as memory says: loaded from the store page by page, and added to as
 * payments come in here or at another instance.
 */
import assert from 'node:assert/strict';
import type { Clock } from '../domain/clock.ts';
import { readIdWords } from '../domain/payment.ts';
import { type Store, StoreFault } from '../storage/ports.ts';
import { BloomFilter } from './bloom-filter.ts';

/** A page of ids: what waits for the store meanwhile waits some 2 ms. */
const PAGE_IDS = 1024;
const RETRY_MS = 1000;

export class KnownIds {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #filter = new BloomFilter();
  readonly #words = new Int32Array(4);
  #loadedSeq = 0;
  #isLoading = false;
  #isComplete = false;
  #isClosed = false;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  add(id: ArrayLike<number>): void {
    this.#filter.add(id);
  }

  /**
   * Whether an id (four words) is certain to be new, as far as the store goes. Until all are loaded, none is.
   */
  isNew(id: ArrayLike<number>): boolean {
    return this.#isComplete && !this.#filter.mayHave(id);
  }

  /** Loads the ids that the store has and that were not loaded yet. */
  load(): void {
    this.#isComplete = false;
    if (this.#isLoading) return;
    this.#isLoading = true;
    this.#loadPage();
  }

  close(): void {
    this.#isClosed = true;
  }

  #loadPage(): void {
    this.#store.ids(this.#loadedSeq, PAGE_IDS, answer => {
      if (this.#isClosed) return;
      if (answer instanceof StoreFault) {
        this.#clock.after(RETRY_MS, () => this.#loadPage());
        return;
      }
      const { ids, lastSeq } = answer;
      assert(ids.length % 16 === 0 && (ids.length === 0 || lastSeq > this.#loadedSeq));
      const view = new DataView(ids.buffer, ids.byteOffset, ids.length);
      const words = this.#words;
      for (let at = 0; at < ids.length; at += 16) {
        readIdWords(view, at, words, 0);
        this.#filter.add(words);
      }
      if (ids.length > 0) {
        this.#loadedSeq = lastSeq;
        this.#loadPage();
        return;
      }
      this.#isLoading = false;
      this.#isComplete = true;
    });
  }
}
