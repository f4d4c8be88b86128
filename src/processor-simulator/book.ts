/**
 * The book of a processor: every payment it recorded, in order, found by id and summed over any window.
 *
 * Ten million payments are to fit, so there is no object per payment. A row is 36 bytes in typed arrays, in
 * blocks that are never copied; the index over ids costs 8 to 16 bytes more.
 *
 *   row     0            65,535   65,536
 *         ┌──────── block ───────┐┌──────── block ─── …
 *   ids   │ 4 words each         ││
 *   cents │ a double each        ││     index: 256 tables by the top byte of the id's hash,
 *   at    │ ms since 1970        ││            open addressing, each grown on its own (a pause
 *   next  │ same second's former ││            of milliseconds where one table would take a second)
 *
 * A window is summed from totals per second; only in its first and last second are rows looked at, along the
 * chain that `next` makes of a second's rows.
 */
import { addCents, addTotal, emptyTotal, type Total } from '../domain/money.ts';
import { idText, writeIdBytes } from '../domain/payment.ts';

const BLOCK_BITS = 12;
const BLOCK_ROWS = 1 << BLOCK_BITS;
const ROW_MASK = BLOCK_ROWS - 1;
const TABLES = 256;
const TABLE_SLOTS_MIN = 16;
const NO_ROW = -1;

interface Block {
  readonly ids: Int32Array;
  readonly cents: Float64Array;
  readonly atMs: Float64Array;
  readonly next: Int32Array;
}

/** The rows of one second and their sum. `last` begins the chain, newest first. */
interface Second {
  readonly total: Total;
  last: number;
}

/** Slots hold `row + 1`, 0 is free. At most half of them are taken, so a search is short and always ends. */
interface Table {
  slots: Int32Array;
  taken: number;
}

export interface Entry {
  readonly correlationId: string;
  readonly cents: number;
  readonly requestedAtMs: number;
}

export class Book {
  #size = 0;
  #blocks: Block[] = [];
  #tables: Table[] = [];
  #seconds = new Map<number, Second>();
  #total = emptyTotal();
  readonly #idBytes = new Uint8Array(16);

  constructor() {
    this.clear();
  }

  /** How many payments are recorded; rows are numbered from 0 to `size - 1` in the order of recording. */
  get size(): number {
    return this.#size;
  }

  /** Forgets everything. */
  clear(): void {
    this.#size = 0;
    this.#blocks = [];
    this.#tables = Array.from({ length: TABLES }, () => ({
      slots: new Int32Array(TABLE_SLOTS_MIN),
      taken: 0,
    }));
    this.#seconds = new Map();
    this.#total = emptyTotal();
  }

  /**
   * Records a payment unless its id is known: false then, and nothing changes. `id` is four words, read
   * before this returns; `cents` and `requestedAtMs` (since 1970) are integers.
   */
  record(id: ArrayLike<number>, cents: number, requestedAtMs: number): boolean {
    const hashed = hash(id, 0);
    const table = this.#tables[hashed >>> 24]!;
    const slot = this.#slotOf(table.slots, id, 0, hashed);
    if (table.slots[slot] !== 0) return false;
    const row = this.#size++;
    const block = this.#blockFor(row);
    const at = row & ROW_MASK;
    for (let word = 0; word < 4; word++) block.ids[at * 4 + word] = id[word]!;
    block.cents[at] = cents;
    block.atMs[at] = requestedAtMs;
    block.next[at] = this.#addToSecond(row, cents, requestedAtMs);
    addCents(this.#total, cents);
    table.slots[slot] = row + 1;
    table.taken += 1;
    if (table.taken * 2 > table.slots.length) this.#grow(table);
    return true;
  }

  /** The row of an id (four words), or -1. */
  find(id: ArrayLike<number>): number {
    const hashed = hash(id, 0);
    const { slots } = this.#tables[hashed >>> 24]!;
    return slots[this.#slotOf(slots, id, 0, hashed)]! - 1;
  }

  /** What a row holds. `row` must be below `size`. */
  entry(row: number): Entry {
    const block = this.#blocks[row >>> BLOCK_BITS]!;
    const at = row & ROW_MASK;
    writeIdBytes(block.ids, at * 4, this.#idBytes, 0);
    return {
      correlationId: idText(this.#idBytes),
      cents: block.cents[at]!,
      requestedAtMs: block.atMs[at]!,
    };
  }

  /**
   * The count and sum of all payments with `fromMs <= requestedAt <= toMs`; open ends are -Infinity,
   * Infinity.
   */
  total(fromMs: number, toMs: number): Total {
    const total = emptyTotal();
    if (fromMs === -Infinity && toMs === Infinity) {
      addTotal(total, this.#total);
      return total;
    }
    const first = Math.floor(fromMs / 1000);
    const last = Math.floor(toMs / 1000);
    // Whichever is less: the seconds that exist, or those of the window.
    if (last - first >= this.#seconds.size) {
      for (const [at, second] of this.#seconds) {
        if (at >= first && at <= last) this.#addSecond(total, at, second, fromMs, toMs);
      }
    } else {
      for (let at = first; at <= last; at++) {
        const second = this.#seconds.get(at);
        if (second !== undefined) this.#addSecond(total, at, second, fromMs, toMs);
      }
    }
    return total;
  }

  #addSecond(total: Total, at: number, second: Second, fromMs: number, toMs: number): void {
    if (fromMs <= at * 1000 && at * 1000 + 999 <= toMs) {
      addTotal(total, second.total);
      return;
    }
    for (let row = second.last; row !== NO_ROW; ) {
      const block = this.#blocks[row >>> BLOCK_BITS]!;
      const place = row & ROW_MASK;
      const requestedAtMs = block.atMs[place]!;
      if (requestedAtMs >= fromMs && requestedAtMs <= toMs) addCents(total, block.cents[place]!);
      row = block.next[place]!;
    }
  }

  /** Adds a row to its second; the row that was the second's newest before. */
  #addToSecond(row: number, cents: number, requestedAtMs: number): number {
    const at = Math.floor(requestedAtMs / 1000);
    let second = this.#seconds.get(at);
    if (second === undefined) {
      second = { total: emptyTotal(), last: NO_ROW };
      this.#seconds.set(at, second);
    }
    const before = second.last;
    second.last = row;
    addCents(second.total, cents);
    return before;
  }

  #blockFor(row: number): Block {
    if ((row & ROW_MASK) === 0) {
      this.#blocks.push({
        ids: new Int32Array(BLOCK_ROWS * 4),
        cents: new Float64Array(BLOCK_ROWS),
        atMs: new Float64Array(BLOCK_ROWS),
        next: new Int32Array(BLOCK_ROWS),
      });
    }
    return this.#blocks[row >>> BLOCK_BITS]!;
  }

  /** Where the id is in `slots`, or where it would go. */
  #slotOf(slots: Int32Array, id: ArrayLike<number>, start: number, hashed: number): number {
    const mask = slots.length - 1;
    let slot = hashed & mask;
    for (let row = slots[slot]! - 1; row !== NO_ROW; row = slots[slot]! - 1) {
      const { ids } = this.#blocks[row >>> BLOCK_BITS]!;
      const at = (row & ROW_MASK) * 4;
      if (
        ids[at] === id[start] &&
        ids[at + 1] === id[start + 1] &&
        ids[at + 2] === id[start + 2] &&
        ids[at + 3] === id[start + 3]
      ) {
        return slot;
      }
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(table: Table): void {
    const slots = new Int32Array(table.slots.length * 2);
    for (const taken of table.slots) {
      if (taken === 0) continue;
      const { ids } = this.#blocks[(taken - 1) >>> BLOCK_BITS]!;
      const start = ((taken - 1) & ROW_MASK) * 4;
      const mask = slots.length - 1;
      let slot = hash(ids, start) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = taken;
    }
    table.slots = slots;
  }
}

/** 32 well-mixed bits of four words; ids that only count up spread too. */
function hash(words: ArrayLike<number>, start: number): number {
  let mixed = words[start]!;
  for (let at = 1; at < 4; at++) mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) ^ words[start + at]!;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
