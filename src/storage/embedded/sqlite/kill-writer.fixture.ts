/**
 * A process for tests to kill: joins the store of a directory as an instance and puts and settles payments
 * without end, telling on its standard output how many the store has acknowledged.
 *
 *     node kill-writer.fixture.ts DIRECTORY INSTANCE FIRST_ID
 */

import { writeSync } from 'node:fs';
import { put, settleRow } from '../../../testing/stores.ts';
import { Batch } from '../../batch.ts';
import { SqliteStore } from './store.ts';

const [directory, instance, firstId] = process.argv.slice(2) as [string, string, string];
const store = new SqliteStore({ directory });
const { epoch, generation } = store.join(instance);
const perBatch = 20;

function write(fill: (batch: Batch) => void): Float64Array {
  const batch = new Batch(epoch, generation);
  fill(batch);
  const { results } = store.write(epoch, generation, batch.rows, batch.count);
  store.checkpoint(false);
  return results;
}

// `console.log` would keep back what the reader is too slow for.
const tell = (put: number, settled: number): number => writeSync(1, `${put} ${settled}\n`);
tell(0, 0);
for (let round = 0; ; round++) {
  const first = Number(firstId) + round * perBatch;
  const seqs = write(batch => {
    for (let n = first; n < first + perBatch; n++) put(batch, n, { cents: 100 });
  });
  tell((round + 1) * perBatch, round * perBatch);
  write(batch => {
    for (const seq of seqs) settleRow(batch, { seq, cents: 100, requestedAtMs: seq, settledAtMs: seq });
  });
  tell((round + 1) * perBatch, (round + 1) * perBatch);
}
