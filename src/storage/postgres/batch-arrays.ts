/** A batch as the arrays that `write_batch` takes, in the text of PostgreSQL. */
import * as column from '../batch.ts';
import { ATTEMPT, type Batch, COLUMNS, INSERT, PUT_ON_HOLD, SETTLE } from '../batch.ts';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The four words of an id as 32 hexadecimal digits, which PostgreSQL takes for a uuid. */
export function idHex(words: ArrayLike<number>, start: number): string {
  let text = '';
  for (let at = start; at < start + 4; at++) {
    const word = words[at]!;
    text += HEX[word >>> 24]! + HEX[(word >>> 16) & 255]! + HEX[(word >>> 8) & 255]! + HEX[word & 255]!;
  }
  return text;
}

/** The numbers of each kind of row, behind its place and its wave, in the order of `write-function.ts`. */
const PUT = [
  ...[column.CENTS, column.ACCEPTED_AT, column.ORIGIN, column.STATE, column.PROCESSOR],
  ...[column.REQUESTED_AT, column.ATTEMPTS, column.TRIES],
];
const PROGRESS = [column.PROCESSOR, column.REQUESTED_AT, column.ATTEMPTS, column.TRIES];
const MARKED = [column.SEQ, column.STATE, ...PROGRESS];
const LEFT = [column.SEQ, column.NEXT, ...PROGRESS];
/** A hold and when it ends; of other rows the hold stays as it is, and what is held is due. */
const HELD_UNTIL = [column.HELD, column.SETTLED_AT];
const AS_IT_IS = ',-1,0';
const ENDED = [
  ...[column.ATTEMPTS, column.REQUESTED_AT, column.ACCEPTED_AT, column.CENTS, column.PROCESSOR, column.STATE],
];
const SETTLED_AS = [
  ...[column.SEQ, column.PROCESSOR, column.REQUESTED_AT, column.ATTEMPTS, column.SETTLED_AT],
];

/** One kind of row. */
class Group {
  readonly #rows: { readonly id: string; readonly numbers: string }[] = [];

  add(id: string, numbers: string): void {
    this.#rows.push({ id, numbers });
  }

  sort(): void {
    // Hexadecimal digits are in the order of the bytes.
    if (this.#rows.length > 1) this.#rows.sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  /** Its two arrays: the ids, and all numbers. */
  get texts(): [ids: string, numbers: string] {
    let [ids, numbers, comma] = ['{', '{', ''];
    for (const row of this.#rows) {
      ids += comma + row.id;
      numbers += comma + row.numbers;
      comma = ',';
    }
    return [`${ids}}`, `${numbers}}`];
  }
}

function numbersOf(rows: Float64Array, start: number, from: readonly number[]): string {
  let text = '';
  for (let at = 0; at < from.length; at++) text += `,${rows[start + from[at]!]!}`;
  return text;
}

export interface BatchArrays {
  readonly waves: number;
  /** The texts of all arrays, in the order of the parameters. */
  readonly texts: readonly string[];
}

/**
 * Waves: a row is of wave n if n rows of the batch before it are on the same payment. Rows of one wave are on
 * different payments, so their order does not matter.
 */
export function batchArrays({ rows, count }: Batch): BatchArrays {
  const put = new Group();
  const change = new Group();
  const ended = new Group();
  const settle = new Group();
  const seen = new Map<string, number>();
  let waves = 1;
  for (let row = 0; row < count; row++) {
    const start = row * COLUMNS;
    const kind = rows[start + column.KIND];
    const id = idHex(rows, start + column.ID);
    const wave = seen.get(id) ?? 0;
    seen.set(id, wave + 1);
    waves = Math.max(waves, wave + 1);
    // Arrays begin at 1 there.
    const place = `${row + 1},${wave}`;
    const numbers = (from: readonly number[]): string => place + numbersOf(rows, start, from);
    if (kind === INSERT) put.add(id, numbers(PUT));
    else if (kind === SETTLE) settle.add(id, numbers(SETTLED_AS));
    else if (kind === PUT_ON_HOLD) change.add(id, numbers(LEFT) + numbersOf(rows, start, HELD_UNTIL));
    else {
      change.add(id, numbers(kind === ATTEMPT ? LEFT : MARKED) + AS_IT_IS);
      if (kind === ATTEMPT) ended.add(id, numbers(ENDED));
    }
  }
  put.sort();
  return { waves, texts: [put, change, ended, settle].flatMap(group => group.texts) };
}
