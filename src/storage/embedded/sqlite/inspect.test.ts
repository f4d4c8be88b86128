import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { idBytes, SENT } from '../../../domain/payment.ts';
import * as column from '../../batch.ts';
import { Batch } from '../../batch.ts';
import { Inspector } from './inspect.ts';
import { SqliteStore } from './store.ts';

const ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';

function put(batch: Batch, firstWord: number): void {
  const start = batch.add(column.INSERT);
  const words = [firstWord, 0x7d264d9d, 0xaa194dc1 | 0, 0xc7cf60b3 | 0];
  for (const [at, word] of words.entries()) batch.rows[start + column.ID + at] = word;
  batch.rows[start + column.CENTS] = 1990;
  batch.rows[start + column.ACCEPTED_AT] = 1000;
  batch.rows[start + column.STATE] = SENT;
  batch.rows[start + column.PROCESSOR] = 0;
  batch.rows[start + column.REQUESTED_AT] = 2000;
  batch.rows[start + column.ATTEMPTS] = 1;
}

test('shows the latest payments, and one with its attempts, while the store is at work', t => {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-inspect-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const store = new SqliteStore({ directory });
  const { epoch, generation } = store.join('backend-1');
  const batch = new Batch(epoch, generation);
  put(batch, 0x4a7901b8);
  put(batch, 7);
  const { results } = store.write(epoch, generation, batch.rows, batch.count);
  const attempts = new Batch(epoch, generation);
  const start = attempts.add(column.ATTEMPT);
  attempts.rows[start + column.SEQ] = results[0]!;
  attempts.rows[start + column.ATTEMPTS] = 1;
  attempts.rows[start + column.ACCEPTED_AT] = 2050;
  attempts.rows[start + column.CENTS] = 50;
  attempts.rows[start + column.STATE] = 3;
  store.write(epoch, generation, attempts.rows, attempts.count);

  const inspector = new Inspector(directory);
  assert.deepEqual(
    inspector.latest(5).map(({ correlationId }) => correlationId),
    ['00000007-7d26-4d9d-aa19-4dc1c7cf60b3', ID],
  );
  assert.equal(inspector.latest(1).length, 1);
  const history = inspector.history(idBytes(ID)!);
  assert.deepEqual(history?.payment, {
    correlationId: ID,
    cents: 1990,
    state: SENT,
    processor: 0,
    acceptedAtMs: 1000,
    requestedAtMs: 2000,
    settledAtMs: 0,
    attempts: 1,
    tries: 0,
    owner: 'backend-1',
  });
  assert.deepEqual(
    history?.attempts.map(({ number, endedAtMs, durationMs, outcome }) => [
      number,
      endedAtMs,
      durationMs,
      outcome,
    ]),
    [[1, 2050, 50, 3]],
  );
  assert.equal(inspector.history(new Uint8Array(16)), undefined);
  inspector.close();
  store.close();
});
