/** The statements that carry a call to its function, and a batch's answer back. */
import type { Written } from '../ports.ts';
import type { BatchArrays } from './batch-arrays.ts';
import type { Question, ResultRow } from './connection.ts';

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

const ROW_TYPES = [
  ...['int', 'int', 'uuid', 'bigint', 'bigint', 'bigint', 'int', 'int', 'bigint', 'int', 'int'],
  ...['int', 'int', 'uuid', 'bigint', 'int', 'int', 'bigint', 'int', 'int', 'int', 'float8'],
  ...['int', 'int', 'uuid', 'int', 'bigint', 'bigint', 'float8', 'int', 'int'],
  ...['int', 'int', 'uuid', 'bigint', 'int', 'bigint', 'int', 'bigint'],
];
const WRITE_TYPES = [
  ...['text', 'bigint', 'bigint', 'bigint', 'int', 'int', 'text', 'text'],
  ...ROW_TYPES.map(type => `${type}[]`),
];
const WRITE_PARAMETERS = WRITE_TYPES.map((type, at) => `$${at + 1}::${type}`).join(', ');

export const writeStatement = (schema: string): string =>
  `SELECT fault, generation, array_to_string(results, ',') AS results, array_to_string(new_ids, ',') AS ids,
    array_to_string(new_seqs, ',') AS seqs, lsn FROM ${schema}.write_batch(${WRITE_PARAMETERS})`;

/** What became of a batch's rows: where the function says 0, the payment is new, and has a seq. */
export function writtenOf(row: ResultRow, { ids }: BatchArrays): Written {
  const generation = Number(row['generation']);
  if (ids.length === 0) return { generation, results: new Float64Array() };
  const results = Float64Array.from(String(row['results']).split(','), Number);
  if (row['ids'] === null || row['ids'] === '') return { generation, results };
  const seqs = String(row['seqs']).split(',');
  const seqOf = new Map<string, number>();
  for (const [at, id] of String(row['ids']).split(',').entries())
    seqOf.set(id.replaceAll('-', ''), Number(seqs[at]));
  for (const [at, result] of results.entries()) if (result === 0) results[at] = seqOf.get(ids[at]!)!;
  return { generation, results };
}
