/**
 * What left this instance while the store was asked for payments: its answer may have them as they were
 * before, and so they would come back.
 */
export class Departed {
  readonly #seqs = new Set<number>();
  #isAsking = false;

  get isAsking(): boolean {
    return this.#isAsking;
  }

  asks(): void {
    this.#seqs.clear();
    this.#isAsking = true;
  }

  /** `has` tells until the store is asked again. */
  answered(): void {
    this.#isAsking = false;
  }

  /** The store has that a payment is settled or held, so it leaves. */
  left(seq: number): void {
    if (this.#isAsking) this.#seqs.add(seq);
  }

  has(seq: number): boolean {
    return this.#seqs.has(seq);
  }
}
