/** What leaves the index for files: which payments, that none is lost or doubled, and that sums stay. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createZstdDecompress } from 'node:zlib';
import { totalCents } from '../../../domain/money.ts';
import { idText, PINNED, SETTLED, type Summary, WAITING } from '../../../domain/payment.ts';
import { seededBelow } from '../../../domain/random.ts';
import { idOf, seed } from '../../../testing/stores.ts';
import { DAY_MS, dayStart } from '../../archive/archive-line.ts';
import { IndexReader } from '../index/index-reader.ts';
import { IndexedLog } from '../index/log-index.fixture.ts';
import * as row from '../shared-log/tail-table.ts';
import { archiveFolder, RealArchiveFolder } from './archive-folder.ts';
import { Archiver, type ArchiverOptions } from './archiver.ts';

const NOON = Date.UTC(2026, 6, 10, 12);

interface Line {
  readonly correlationId: string;
  readonly amount: number;
  readonly requestedAt: string;
  readonly failed?: readonly { readonly outcome: string; readonly attempt: number }[];
}

class Place {
  readonly directory: string;

  constructor(t: TestContext) {
    this.directory = mkdtempSync(join(tmpdir(), 'soquete-archive-'));
    t.after(() => rmSync(this.directory, { recursive: true }));
  }

  get path(): string {
    return join(this.directory, archiveFolder);
  }

  archiver(log: IndexedLog, options: ArchiverOptions = {}): Archiver {
    return new Archiver(log.database, new RealArchiveFolder(this.directory), options);
  }

  get files(): string[] {
    return readdirSync(this.path).filter(name => name.endsWith('.zst'));
  }

  async lines(): Promise<Line[]> {
    const lines: Line[] = [];
    for (const file of this.files) {
      const stream = createZstdDecompress();
      stream.end(readFileSync(join(this.path, file)));
      const text = Buffer.concat(await stream.toArray()).toString();
      for (const line of text.split('\n').slice(0, -1)) {
        const parsed = JSON.parse(line) as Line;
        assert.equal(parsed.requestedAt.slice(0, 10), file.slice(0, 10), 'a line is in the file of its day');
        lines.push(parsed);
      }
    }
    return lines;
  }

  assertSums(): void {
    const text = readFileSync(join(this.path, 'SHA256SUMS'), 'utf8');
    const said = text.split('\n').slice(0, -1);
    const is = this.files.sort().map(name => {
      const sum = createHash('sha256').update(readFileSync(join(this.path, name)));
      return `${sum.digest('hex')}  ${name}`;
    });
    assert.deepEqual(said, is);
  }
}

function all(archiver: Archiver, beforeMs: number, idsBeforeMs?: number): number {
  for (let archived = 0; ; ) {
    const step = archiver.step(beforeMs, idsBeforeMs);
    archived += step.archived;
    if (!step.isMore) return archived;
  }
}

interface Paid {
  readonly n: number;
  readonly atMs: number;
  readonly cents: number;
  readonly processor: 0 | 1;
}

/** Settles payments at random instants of `days` days from `NOON` on. */
function settled(log: IndexedLog, count: number, days: number, below = seededBelow(seed)): Paid[] {
  return Array.from({ length: count }, (_, at) => {
    const paid = {
      n: at + 1,
      atMs: NOON + below(days * DAY_MS),
      cents: below(10) === 0 ? 999_999_999_999 : 1 + below(100_000),
      processor: below(4) === 0 ? 1 : 0,
    } as const;
    log.accept(paid.n, 1, paid.cents);
    log.settle(paid.n, { processor: paid.processor, requestedAtMs: paid.atMs, cents: paid.cents });
    return paid;
  });
}

/** An account of its own: counts and cents of a window, day by day for what is archived. */
function account(paid: readonly Paid[], fromMs: number, toMs: number, isArchived: (it: Paid) => boolean) {
  const sums = [0n, 0n, 0n, 0n];
  for (const it of paid) {
    const atMs = isArchived(it) ? dayStart(it.atMs) : it.atMs;
    if (atMs < fromMs || atMs > toMs) continue;
    sums[it.processor]! += 1n;
    sums[it.processor + 2]! += BigInt(it.cents);
  }
  return sums;
}

const flat = ({ default: one, fallback: other }: Summary): bigint[] => [
  BigInt(one.count),
  BigInt(other.count),
  totalCents(one),
  totalCents(other),
];

test('what is old goes, with its attempts, to files of its day; sums stay, and ids are known', async t => {
  const place = new Place(t);
  const log = new IndexedLog();
  const paid = settled(log, 1200, 4);
  log.accept(2001, 3);
  log.fail(2001, WAITING, 2500);
  log.settle(2001, { requestedAtMs: NOON });
  log.fail(2002, PINNED, 2500);
  const index = log.index();
  index.advance();
  const archiver = place.archiver(log);
  const beforeMs = NOON + 2 * DAY_MS;
  const isArchived = (it: Paid): boolean => it.atMs < beforeMs;
  const due = paid.filter(isArchived);
  assert.equal(all(archiver, beforeMs), due.length + 1);
  assert.equal(all(archiver, beforeMs), 0, 'once is enough');

  const lines = await place.lines();
  assert.deepEqual(
    new Set(lines.map(({ correlationId, amount }) => `${correlationId} ${amount}`)),
    new Set([...due, { n: 2001, cents: 1990 }].map(({ n, cents }) => `${idText(idOf(n))} ${cents / 100}`)),
  );
  assert.equal(lines.length, due.length + 1);
  place.assertSums();
  const tried = lines.find(({ correlationId }) => correlationId === idText(idOf(2001)))!;
  assert.deepEqual(
    tried.failed?.map(({ attempt }) => attempt),
    [1],
  );

  const lookUp = new IndexReader(log.database);
  assert.equal(lookUp.find(idOf(2002))![row.ROW_STATE], PINNED, 'one that is not settled stays');
  for (const { n, cents, atMs, processor } of paid) {
    const found = lookUp.find(idOf(n))!;
    assert.deepEqual(
      [found[row.ROW_STATE], found[row.ROW_CENTS], found[row.ROW_REQUESTED_AT], found[row.ROW_PROCESSOR]],
      [SETTLED, cents, atMs, processor],
    );
    assert.equal(found[row.ROW_ACCEPTED_AT], 1000 + n);
  }
  assert.equal(lookUp.find(idOf(5000)), undefined);

  const kept = [...paid, { n: 2001, atMs: NOON, cents: 1990, processor: 0 as const }];
  const below = seededBelow(seed + 1);
  for (let window = 0; window < 300; window++) {
    let [from, to] = [NOON + below(5 * DAY_MS) - DAY_MS, NOON + below(5 * DAY_MS) - DAY_MS];
    if (window % 3 === 0) [from, to] = [dayStart(from), dayStart(to) - 1];
    if (window % 7 === 0) from = Number.NEGATIVE_INFINITY;
    if (window % 11 === 0) to = Number.POSITIVE_INFINITY;
    const said = flat(new IndexReader(log.database).summary(from, to).summary);
    assert.deepEqual(said, account(kept, from, to, isArchived), `${from} ${to}`);
    const isOfDays = (edge: number): boolean => !Number.isFinite(edge) || edge % DAY_MS === 0;
    if (isOfDays(from) && isOfDays(to + 1))
      assert.deepEqual(
        said,
        account(kept, from, to, () => false),
      );
  }
  const { n } = log.database
    .prepare('SELECT count(*) AS n FROM totals WHERE bucket < ? AND level = 0')
    .get(beforeMs) as { n: number };
  assert.ok(n <= 2 * 3, `${n} totals of milliseconds are left of what is archived`);
});

test('wherever it is killed, no line is lost or doubled, and no sum changes', async t => {
  for (const crashAt of ['append', 'delete', 'commit', 'sums'] as const) {
    for (const skip of [0, 1, 2]) {
      const place = new Place(t);
      const log = new IndexedLog();
      const paid = settled(log, 1100, 2);
      const index = log.index();
      index.advance();
      let left = skip;
      const at = (step: string): void => {
        if (step === crashAt && left-- === 0) throw new Error('killed');
      };
      const until = NOON + 3 * DAY_MS;
      const before = flat(new IndexReader(log.database).summary(-Infinity, Infinity).summary);
      const dying = place.archiver(log, { at });
      if (crashAt === 'sums' && skip > 0) continue;
      assert.throws(() => all(dying, until), /killed/, `${crashAt} ${skip}`);
      assert.deepEqual(flat(new IndexReader(log.database).summary(-Infinity, Infinity).summary), before);
      all(place.archiver(log), until);
      const lines = await place.lines();
      assert.deepEqual(
        lines.map(({ correlationId }) => correlationId).sort(),
        paid.map(({ n }) => idText(idOf(n))).sort(),
        `${crashAt} ${skip}`,
      );
      place.assertSums();
      assert.deepEqual(flat(new IndexReader(log.database).summary(-Infinity, Infinity).summary), before);
    }
  }
});

test('a window stays exact that begins where the audit does', t => {
  const log = new IndexedLog();
  const paid = settled(log, 400, 2);
  const index = log.index();
  index.advance();
  const from = NOON + DAY_MS + 12_345_678;
  const before = flat(new IndexReader(log.database).summary(from, Number.POSITIVE_INFINITY).summary);
  const archiver = new Place(t).archiver(log);
  while (archiver.step(NOON + 3 * DAY_MS, undefined, from).isMore);
  assert.deepEqual(
    flat(new IndexReader(log.database).summary(from, Number.POSITIVE_INFINITY).summary),
    before,
  );
  assert.deepEqual(
    flat(new IndexReader(log.database).summary(-Infinity, Infinity).summary),
    account(paid, -Infinity, Infinity, () => true),
  );
});

test('two that archive at once, in turns, make one archive', async t => {
  const place = new Place(t);
  const log = new IndexedLog();
  const paid = settled(log, 2600, 1);
  log.index().advance();
  const [one, other] = [place.archiver(log), place.archiver(log)];
  let archived = 0;
  for (let turn = 0; turn < 60; turn++) archived += (turn % 3 ? one : other).step(NOON + DAY_MS * 2).archived;
  assert.equal(archived, paid.length);
  assert.equal(new Set((await place.lines()).map(({ correlationId }) => correlationId)).size, paid.length);
  assert.equal((await place.lines()).length, paid.length);
  place.assertSums();
});

test('a file that is full or gone is not gone on with, and foreign bytes are set aside', async t => {
  const place = new Place(t);
  const log = new IndexedLog();
  const early = settled(log, 150, 1 / 8);
  log.index().advance();
  all(place.archiver(log, { fileBytesMax: 1000 }), NOON + DAY_MS);
  assert.deepEqual(place.files.sort(), ['2026-07-10.002.ndjson.zst', '2026-07-10.ndjson.zst']);
  assert.equal((await place.lines()).length, early.length);
  const second = join(place.path, '2026-07-10.002.ndjson.zst');
  appendFileSync(second, 'what another copy of the store has put here');
  log.accept(3001, 1);
  log.settle(3001, { requestedAtMs: NOON });
  log.index().advance();
  all(place.archiver(log), NOON + DAY_MS);
  assert.equal((await place.lines()).length, early.length + 1);
  place.assertSums();
  const [aside] = readdirSync(join(place.path, 'set-aside'));
  assert.match(readFileSync(join(place.path, 'set-aside', aside!), 'utf8'), /^what another copy/);

  renameSync(second, join(place.directory, 'moved away'));
  log.accept(3002, 1);
  log.settle(3002, { requestedAtMs: NOON });
  log.index().advance();
  all(place.archiver(log), NOON + DAY_MS);
  assert.deepEqual(place.files.sort(), ['2026-07-10.003.ndjson.zst', '2026-07-10.ndjson.zst']);
});

test('ids are forgotten when they are as old as is said, and not before', t => {
  const place = new Place(t);
  const log = new IndexedLog();
  const paid = settled(log, 900, 4);
  log.index().advance();
  const archiver = place.archiver(log);
  all(archiver, NOON + 3 * DAY_MS, NOON + DAY_MS);
  archiver.step(NOON + 3 * DAY_MS, NOON + DAY_MS);
  const lookUp = new IndexReader(log.database);
  for (const { n, atMs } of paid)
    assert.equal(lookUp.find(idOf(n)) === undefined, atMs < NOON + DAY_MS, `${atMs - NOON}`);
});

test('an archiver goes on behind a failure, and its sums are those of its files', async t => {
  for (const failsAt of ['delete', 'commit'] as const) {
    const place = new Place(t);
    const log = new IndexedLog();
    const paid = settled(log, 350, 1 / 8);
    log.index().advance();
    let left = 1;
    const archiver = place.archiver(log, {
      at: step => {
        if (step === failsAt && left-- === 0) throw new Error('disk I/O error');
      },
    });
    assert.throws(() => all(archiver, NOON + DAY_MS), /I\/O/);
    all(archiver, NOON + DAY_MS);
    assert.equal((await place.lines()).length, paid.length, failsAt);
    place.assertSums();
  }
});
