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

/** Columns of each kind of row, behind its place and its wave, in the order of the function's parameters. */
const PUT = [
  ...[column.CENTS, column.ACCEPTED_AT, column.ORIGIN, column.STATE, column.PROCESSOR],
  ...[column.REQUESTED_AT, column.ATTEMPTS, column.TRIES],
];
const PROGRESS = [column.PROCESSOR, column.REQUESTED_AT, column.ATTEMPTS, column.TRIES];
const MARKED = [column.SEQ, column.STATE, ...PROGRESS];
const LEFT = [column.SEQ, column.NEXT, ...PROGRESS];
/** A hold and when it ends; of other rows the hold stays as it is, and what is held is due. */
const HELD_UNTIL = [column.HELD, column.SETTLED_AT];
const AS_IT_IS = ['-1', '0'];
const ENDED = [
  ...[column.ATTEMPTS, column.REQUESTED_AT, column.ACCEPTED_AT, column.CENTS, column.PROCESSOR, column.STATE],
];
const SETTLED_AS = [
  column.SEQ,
  column.PROCESSOR,
  column.REQUESTED_AT,
  column.ATTEMPTS,
  column.SETTLED_AT,
] as const;

/** The columns of one kind of row: each a text of values with commas between. */
class Group {
  readonly columns: string[];

  constructor(columnCount: number) {
    this.columns = new Array<string>(3 + columnCount).fill('');
  }

  add(
    place: number,
    wave: number,
    id: string,
    rows: Float64Array,
    start: number,
    from: readonly number[],
  ): void {
    const { columns } = this;
    const comma = columns[0] === '' ? '' : ',';
    columns[0] += `${comma}${place}`;
    columns[1] += `${comma}${wave}`;
    columns[2] += `${comma}${id}`;
    for (let at = 0; at < from.length; at++) columns[3 + at] += `${comma}${rows[start + from[at]!]!}`;
  }

  /** More columns of the row that was added last, behind its first `columnCount`. */
  append(columnCount: number, values: readonly string[]): void {
    const { columns } = this;
    for (const [at, value] of values.entries()) {
      const place = 3 + columnCount + at;
      columns[place] += columns[place] === '' ? value : `,${value}`;
    }
  }
}

export interface BatchArrays {
  readonly waves: number;
  /** The texts of all arrays, in the order of the parameters. */
  readonly texts: readonly string[];
  /** The id of each row. */
  readonly ids: readonly string[];
}

/**
 * Waves: a row is of wave n if n rows of the batch before it are on the same payment. Rows of one wave are on
 * different payments, so their order does not matter.
 */
export function batchArrays({ rows, count }: Batch): BatchArrays {
  const put = new Group(PUT.length);
  const change = new Group(MARKED.length + HELD_UNTIL.length);
  const ended = new Group(ENDED.length);
  const settle = new Group(SETTLED_AS.length);
  const seen = new Map<string, number>();
  const ids: string[] = [];
  let waves = 1;
  for (let row = 0; row < count; row++) {
    const start = row * COLUMNS;
    const kind = rows[start + column.KIND];
    const id = idHex(rows, start + column.ID);
    ids.push(id);
    const wave = seen.get(id) ?? 0;
    seen.set(id, wave + 1);
    waves = Math.max(waves, wave + 1);
    // Arrays begin at 1 there.
    const place = row + 1;
    if (kind === INSERT) put.add(place, wave, id, rows, start, PUT);
    else if (kind === SETTLE) settle.add(place, wave, id, rows, start, SETTLED_AS);
    else {
      const isEnd = kind === ATTEMPT;
      const isHold = kind === PUT_ON_HOLD;
      change.add(place, wave, id, rows, start, isEnd || isHold ? LEFT : MARKED);
      const held = isHold ? HELD_UNTIL.map(from => String(rows[start + from]!)) : AS_IT_IS;
      change.append(LEFT.length, held);
      if (isEnd) ended.add(place, wave, id, rows, start, ENDED);
    }
  }
  const texts = [put, change, ended, settle].flatMap(({ columns }) => columns.map(text => `{${text}}`));
  return { waves, texts, ids };
}
