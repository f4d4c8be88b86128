/** What becomes of one payment with all that belongs to it: when it goes, what goes with it, what stays. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { DEFAULT, SETTLED, WAITING } from '../../../domain/payment.ts';
import { idOf } from '../../../testing/stores.ts';
import { ACT_KINDS } from '../../acts.ts';
import { IndexReader } from '../index/index-reader.ts';
import { IndexedLog, words } from '../index/log-index.fixture.ts';
import { archiveFolder, RealArchiveFolder } from './archive-folder.ts';
import { Archiver } from './archiver.ts';

const text = new TextEncoder();

function begun(t: TestContext): { log: IndexedLog; archiver: Archiver; line(): Record<string, unknown> } {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-archived-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const log = new IndexedLog();
  return {
    log,
    archiver: new Archiver(log.database, new RealArchiveFolder(directory)),
    line: () =>
      JSON.parse(
        zstdDecompressSync(readFileSync(join(directory, archiveFolder, '1970-01-01.ndjson.zst'))).toString(),
      ),
  };
}

function act(log: IndexedLog, kind: (typeof ACT_KINDS)[number], state: number, atMs: number): void {
  const seen = { state, processor: DEFAULT, requestedAtMs: 2001, attempts: 1, tries: 1 };
  const [who, why] = [text.encode('ana'), text.encode(`${kind}, as agreed`)];
  const written = log.write(batch =>
    batch.act(words(1), 0, log.originOf(1), seen, ACT_KINDS.indexOf(kind), 1990, atMs, who, why),
  );
  assert.deepEqual(written, [1]);
}

const count = ({ database }: IndexedLog, table: string): number =>
  (database.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }).n;

test('a payment goes when it was requested, and settled, before the time that is kept', t => {
  const { log, archiver } = begun(t);
  log.accept(1);
  log.settle(1, { requestedAtMs: 2001 });
  log.index().advance();
  const gone = [2500, 3001, 3002].map(beforeMs => archiver.step(beforeMs).archived);
  assert.deepEqual(gone, [0, 0, 1], 'it was settled at 3001');
});

test('attempts and acts go with their payment, into its line', t => {
  const { log, archiver, line } = begun(t);
  log.accept(1);
  log.fail(1, WAITING);
  act(log, 'retry', WAITING, 2600);
  log.settle(1);
  log.index().advance();
  assert.deepEqual([count(log, 'attempts'), count(log, 'acts')], [1, 1]);
  assert.equal(archiver.step(10_000).archived, 1);
  assert.deepEqual([count(log, 'attempts'), count(log, 'acts'), count(log, 'payments')], [0, 0, 0]);
  const { failed, acts } = line() as { failed: object[]; acts: object[] };
  assert.equal(failed.length, 1);
  assert.deepEqual(acts, [
    { act: 'retry', at: '1970-01-01T00:00:02.600Z', who: 'ana', text: 'retry, as agreed' },
  ]);
});

test('an id is forgotten behind its time, with what was done to it since', t => {
  const { log, archiver } = begun(t);
  log.accept(1);
  log.settle(1, { requestedAtMs: 2001 });
  const index = log.index();
  log.mark(index.advance());
  assert.equal(archiver.step(10_000).archived, 1);
  act(log, 'resend', SETTLED, 4000);
  index.advance();
  const reader = new IndexReader(log.database);
  assert.equal(archiver.step(10_000, 2001).forgotten, 0);
  assert.notEqual(reader.find(idOf(1)), undefined);
  assert.equal(count(log, 'acts'), 1);
  assert.equal(archiver.step(10_000, 2002).forgotten, 1);
  assert.equal(reader.find(idOf(1)), undefined);
  assert.equal(count(log, 'acts'), 0);
});
