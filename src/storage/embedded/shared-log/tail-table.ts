/**
 * The payments of the log's tail: those with a record that the index may not have yet. A row is sixteen
 * numbers (128 bytes, and 8 to 16 of the hash index); the rows lie in one buffer, so that they can be handed
 * over or kept as they are.
 *
 * A payment whose acceptance the index has comes back with its next record, as far as that tells: `ROW_SEQ`
 * is 0 then, and its amount and its acceptance are to be asked of the index; of one that was closed, all but
 * the state.
 */

export const ROW_SEQ = 0;
/** The four words of the id. */
export const ROW_ID = 1;
export const ROW_CENTS = 5;
export const ROW_ACCEPTED_AT = 6;
/** The epoch that accepted it: never changes, whoever owns it later. */
export const ROW_ORIGIN = 7;
/** Of domain/payment; of an uncertain payment the complement (`~`) of that. */
export const ROW_STATE = 8;
/** -1: none yet. */
export const ROW_PROCESSOR = 9;
export const ROW_REQUESTED_AT = 10;
export const ROW_ATTEMPTS = 11;
export const ROW_TRIES = 12;
/** When it was settled; of a held one, when it is tried again. */
export const ROW_SETTLED_AT = 13;
/** Why it is held, of domain/payment. */
export const ROW_HELD = 14;
/** Where the batch with its last record begins. */
export const ROW_POSITION = 15;
export const ROW_COLUMNS = 16;

/**
 * So many rows at most, where memory has no limit: 18 MiB of them in each backend. At 20,000 payments a
 * second the index is up to 3 s behind (measured), 60,000 rows.
 */
export const TAIL_ROWS_MAX = 2 ** 17;
/** So many at least: twice what the index waits for. */
const TAIL_ROWS_MIN = 2 ** 13;
/** What a backend takes beside the rows, and the kernel for it; measured under load: 60 to 70 MB. */
const OTHER_BYTES = 64 * 1024 * 1024;
/**
 * What one row takes: here and in the index's thread, each of them twice while the table grows, and three
 * times more in SQLite while a transaction has it; and as much in garbage of what led to it. Measured: with
 * 20,000 rows a transaction takes 15 MB for a moment, and a backend within 100 MB is killed.
 */
const BYTES_PER_ROW = 3072;

/** How many rows fit into the memory of a process that has so many bytes in all. */
export function tailRowsMax(memoryBytes: number): number {
  const rows = Math.floor((memoryBytes - OTHER_BYTES) / BYTES_PER_ROW);
  return Math.max(TAIL_ROWS_MIN, Math.min(TAIL_ROWS_MAX, rows));
}

export class TailTable {
  /** With so many no new payment is taken, until the index has them and marks have said so. */
  rowsMax = TAIL_ROWS_MAX;
  rows = new Float64Array(64 * ROW_COLUMNS);
  count = 0;
  /** Row + 1, or 0; at most half full. */
  #index = new Int32Array(128);

  get isFull(): boolean {
    return this.count >= this.rowsMax;
  }

  /** Where the row of an id begins; below 0: it has none. */
  find(words: ArrayLike<number>, wordStart: number): number {
    return (this.#index[this.#place(words, wordStart)]! - 1) * ROW_COLUMNS;
  }

  /** Where the new, zeroed row of an id begins that has none. */
  add(words: ArrayLike<number>, wordStart: number): number {
    if ((this.count + 1) * 2 > this.#index.length) this.#reindex(this.#index.length * 2);
    const start = this.count * ROW_COLUMNS;
    if (start === this.rows.length) {
      const grown = new Float64Array(this.rows.length * 2);
      grown.set(this.rows);
      this.rows = grown;
    }
    for (let word = 0; word < 4; word++) this.rows[start + ROW_ID + word] = words[wordStart + word]!;
    this.count += 1;
    this.#index[this.#place(words, wordStart)] = this.count;
    return this.renew(start);
  }

  /** Makes the row at `start` as that of a new one with its id; returns `start`. */
  renew(start: number): number {
    this.rows[start + ROW_SEQ] = 0;
    this.rows.fill(0, start + ROW_CENTS, start + ROW_COLUMNS);
    this.rows[start + ROW_PROCESSOR] = -1;
    return start;
  }

  /** Lets go of all rows with no record at or behind `position`. What began where changes. */
  dropBefore(position: number): void {
    const { rows } = this;
    let kept = 0;
    for (let start = 0; start < this.count * ROW_COLUMNS; start += ROW_COLUMNS) {
      if (rows[start + ROW_POSITION]! < position) continue;
      if (start !== kept) rows.copyWithin(kept, start, start + ROW_COLUMNS);
      kept += ROW_COLUMNS;
    }
    if (kept === this.count * ROW_COLUMNS) return;
    this.count = kept / ROW_COLUMNS;
    let places = 128;
    while (places < this.count * 4) places *= 2;
    // What a burst needed is given back once it is four times too much.
    if (rows.length > Math.max(64 * ROW_COLUMNS, kept * 8)) {
      this.rows = rows.slice(0, Math.max(64 * ROW_COLUMNS, kept * 2));
    }
    this.#reindex(places);
  }

  clear(): void {
    this.dropBefore(Infinity);
  }

  /** The rows as they are, to be kept; valid until the next change. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.rows.buffer, 0, this.count * ROW_COLUMNS * Float64Array.BYTES_PER_ELEMENT);
  }

  restore(rows: Float64Array): void {
    this.rows = new Float64Array(Math.max(rows.length, 64 * ROW_COLUMNS));
    this.rows.set(rows);
    this.count = rows.length / ROW_COLUMNS;
    let places = 128;
    while (places < this.count * 4) places *= 2;
    this.#reindex(places);
  }

  #reindex(places: number): void {
    this.#index = new Int32Array(places);
    for (let row = 0; row < this.count; row++) {
      this.#index[this.#place(this.rows, row * ROW_COLUMNS + ROW_ID)] = row + 1;
    }
  }

  /** Where in the index an id is, or where it would be put. */
  #place(words: ArrayLike<number>, from: number): number {
    const { rows } = this;
    const index = this.#index;
    const mask = index.length - 1;
    for (let place = mixed(words, from) & mask; ; place = (place + 1) & mask) {
      const row = index[place]!;
      if (row === 0) return place;
      const at = (row - 1) * ROW_COLUMNS + ROW_ID;
      if (
        rows[at] === words[from] &&
        rows[at + 1] === words[from + 1] &&
        rows[at + 2] === words[from + 2] &&
        rows[at + 3] === words[from + 3]
      ) {
        return place;
      }
    }
  }
}

/** Clients choose the ids, so all words of them count. */
function mixed(words: ArrayLike<number>, from: number): number {
  let mix = Math.imul(words[from]! ^ 0x9e3779b9, 0x85ebca6b);
  mix = Math.imul((mix ^ (mix >>> 15)) + words[from + 1]!, 0xc2b2ae35);
  mix = Math.imul((mix ^ (mix >>> 13)) + words[from + 2]!, 0x27d4eb2f);
  mix = Math.imul((mix ^ (mix >>> 15)) + words[from + 3]!, 0x165667b1);
  return mix ^ (mix >>> 16);
}
