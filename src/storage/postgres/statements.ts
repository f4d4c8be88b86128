/** The statements that carry a call to its function, and a batch's answer back. */
import { type Batch, COLUMNS, INSERT, KIND } from '../batch.ts';
import { DONE, FORGOTTEN, type Written } from '../ports.ts';
import type { Question } from './connection.ts';

/** A call of one of our functions. `types`: of its parameters, with commas between. */
export function callOf(
  schema: string,
  name: string,
  values: readonly unknown[],
  types: string,
  select: 'SELECT' | 'SELECT * FROM' = 'SELECT',
): Question {
  const places = types === '' ? [] : types.split(', ').map((type, at) => `$${at + 1}::${type}`);
  const as = select === 'SELECT' ? ' AS answer' : '';
  return { name, text: `${select} ${schema}.${name}(${places.join(', ')})${as}`, values };
}

const WRITE_TYPES = [
  ...['text', 'bigint', 'bigint', 'bigint', 'int', 'int', 'text', 'text', 'bigint'],
  ...['uuid[]', 'bigint[]', 'uuid[]', 'float8[]', 'uuid[]', 'float8[]', 'uuid[]', 'bigint[]'],
];
const WRITE_PARAMETERS = WRITE_TYPES.map((type, at) => `$${at + 1}::${type}`).join(', ');

/**
 * Fails as an insert does where there is no room: a settlement finds some in pages that are there. Rows that
 * do not fit into memory are written to a file, which is gone with the statement.
 */
export const ROOM_SQL = `SET LOCAL work_mem = '64kB'; SELECT count(*) FROM (SELECT n FROM generate_series(1, 50000) n
  ORDER BY -n OFFSET 0) numbers`;

interface WrittenAnswer {
  readonly written: Written;
  readonly lsn: string;
  readonly step: number;
}

export const writeStatement = (schema: string): string =>
  `SELECT ${schema}.write_batch(${WRITE_PARAMETERS}) AS answer`;

/**
 * What became of a batch, the position in the WAL, and the step; of one that is `fenced` or `restarted`,
 * that; where the store lacks something, how many calls.
 */
export function writtenOf(
  answer: string,
  { rows, count, generation }: Batch,
): WrittenAnswer | 'fenced' | 'restarted' | { readonly behind: number } {
  if (answer === 'fenced' || answer === 'restarted') return answer;
  const [present, base, lsn = '', step = '0', unexpected] = answer.split('|');
  if (present === 'lost') return { behind: Number(base) };
  const written = { generation: Number(present), results: new Float64Array(count).fill(FORGOTTEN) };
  if (written.generation !== generation) return { written, lsn, step: Number(step) };
  const texts = unexpected?.split(',');
  for (let row = 0; row < count; row++) {
    const isNew = texts === undefined ? rows[row * COLUMNS + KIND] === INSERT : texts[row] === '0';
    written.results[row] = isNew ? Number(base) + row : texts === undefined ? DONE : Number(texts[row]);
  }
  return { written, lsn, step: Number(step) };
}
