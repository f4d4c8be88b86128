/**
 * A month in half a minute: disk and memory while payments come in evenly, and leave for the archive after
 * three days.
 *
 *   node bench/retention.ts [PAYMENTS, 200000] [SECONDS that the month takes at least, 30]
 *
 * One instance of the embedded store, without HTTP and without processors, under a wall clock that moves as
 * payments come. Sums over random windows, old ids and the archive's lines are held against an account of
 * its own.
 */
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { totalCents } from '../src/domain/money.ts';
import { SENT, SETTLED, type StoredPayment, type Summary, writeIdBytes } from '../src/domain/payment.ts';
import { seededBelow } from '../src/domain/random.ts';
import { DAY_MS, dayStart } from '../src/storage/archive/archive-line.ts';
import * as column from '../src/storage/batch.ts';
import { Batch, INSERT, SETTLE } from '../src/storage/batch.ts';
import { archiveFolder } from '../src/storage/embedded/archive/archive-folder.ts';
import { indexFile } from '../src/storage/embedded/index/tables.ts';
import { type Joined, KNOWN, OTHER_AMOUNT, promised, type Written } from '../src/storage/ports.ts';
import { systemClock } from '../src/system-clock.ts';
import { openBenchStore } from './suite/fill.ts';
import { residentMiB } from './tools/process-usage.ts';
import { number, table } from './tools/table.ts';

const PAYMENTS = Number(process.argv[2] ?? 200_000);
const SECONDS = Number(process.argv[3] ?? 30);
const DAYS = 30;
const KEPT_DAYS = 3;
const BATCH = 100;
const REPORTS = 10;
/** What the store holds when nothing is late, and how much more before payments wait for the archive. */
const KEPT = (PAYMENTS * KEPT_DAYS) / DAYS;
const SLACK = Math.max(1000, KEPT / 10);
const SLACK_MS = 50;
const ASK_EVERY = 1000;
/** Old payments that come again at the end, every other one with another amount. */
const AGAIN = 1000;
/** Between two batches, so that the indexer has its turns as under any other load. */
const PAUSE_MS = Math.max(1, (SECONDS * 1000 * BATCH) / PAYMENTS - 2);
const MINUTE_MS = 60_000;
const MINUTE_TAKES_MS = 20;
const MIB = 2 ** 20;

const directory = mkdtempSync(join(tmpdir(), 'soquete-retention-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
const startMs = Date.UTC(2026, 0, 1);
let nowMs = startMs;
const store = await openBenchStore(directory, 'a', {
  clock: {
    ...systemClock,
    wallMs: () => nowMs,
    // A minute of that month is over at once.
    after: (delayMs, task) => systemClock.after(delayMs >= MINUTE_MS ? MINUTE_TAKES_MS : delayMs, task),
  },
  retention: { keptMs: KEPT_DAYS * DAY_MS, idsKeptMs: Number.POSITIVE_INFINITY, exactFromMs: 0 },
});
const { epoch, generation } = await promised<Joined>(reply => store.join('a', reply));
const below = seededBelow(1);
const ids = new Int32Array(PAYMENTS * 4);
randomFillSync(ids);
const requestedAtMs = new Float64Array(PAYMENTS);
const cents = new Float64Array(PAYMENTS);
const rows: string[][] = [];
const startedAt = performance.now();

for (let done = 0; done < PAYMENTS; done += BATCH) {
  await pay(done, Math.min(BATCH, PAYMENTS - done));
  if ((done + BATCH) % (PAYMENTS / REPORTS) < BATCH) rows.push(await look(done + BATCH));
  await (PAUSE_MS > 1 ? sleep(PAUSE_MS) : setImmediate());
  // A month of real time has no such hurry: what is measured is what remains, not how fast that comes about.
  while (done % ASK_EVERY === 0 && done - archivedLines() > KEPT + SLACK) await sleep(SLACK_MS);
}
// What has become old last goes as well.
for (let left = Number.POSITIVE_INFINITY; left > KEPT + BATCH; left = kept()) await sleep(100);
await check();
console.log(
  table(
    [
      'day',
      'payments',
      'in the store',
      'their tables, MiB',
      'ids, MiB',
      'bytes an id',
      'file and WAL, MiB',
      'archive, MiB',
      'resident, MiB',
    ],
    rows,
  ),
);
const seconds = (performance.now() - startedAt) / 1000;
console.log(`${number(PAYMENTS / seconds)} payments a second came in, and went`);
await promised(reply => store.leave(reply));

async function pay(first: number, count: number): Promise<void> {
  const sent = new Batch(epoch, generation, BATCH);
  const settled = new Batch(epoch, generation, BATCH);
  for (let n = first; n < first + count; n++) {
    nowMs = startMs + Math.floor((n / PAYMENTS) * DAYS * DAY_MS);
    requestedAtMs[n] = nowMs;
    cents[n] = 1 + below(1_000_000);
    const row = sent.add(INSERT);
    sent.rows.set(ids.subarray(n * 4, n * 4 + 4), row + column.ID);
    sent.rows[row + column.ORIGIN] = epoch;
    sent.rows[row + column.CENTS] = cents[n]!;
    sent.rows[row + column.ACCEPTED_AT] = nowMs;
    sent.rows[row + column.STATE] = SENT;
    sent.rows[row + column.REQUESTED_AT] = nowMs;
    sent.rows[row + column.ATTEMPTS] = 1;
    const settlement = settled.add(SETTLE);
    settled.rows.set(sent.rows.subarray(row + column.ID, row + column.COLUMNS), settlement + column.ID);
    settled.rows[settlement + column.SETTLED_AT] = nowMs;
  }
  for (const batch of [sent, settled]) {
    const { results } = await promised<Written>(reply => store.write(batch, reply));
    assert.ok(results.every(result => result > 0));
  }
}

function ask<Row>(sql: string): Row {
  const database = new DatabaseSync(join(directory, indexFile), { readOnly: true });
  try {
    return database.prepare(sql).get() as Row;
  } finally {
    database.close();
  }
}

function archivedLines(): number {
  return ask<{ n: number }>('SELECT coalesce(sum(lines), 0) AS n FROM archive_files').n;
}

function kept(): number {
  return ask<{ n: number }>('SELECT count(*) AS n FROM payments').n;
}

async function look(done: number): Promise<string[]> {
  await promised(reply => store.latest(1, reply));
  const { ids: idsBytes, others } = ask<{ ids: number; others: number }>(
    `SELECT sum(iif(name = 'archived', pgsize, 0)) AS ids, sum(iif(name = 'archived', 0, pgsize)) AS others FROM dbstat
     WHERE aggregate = TRUE`,
  );
  const { archived } = ask<{ archived: number }>('SELECT count(*) AS archived FROM archived');
  const folder = join(directory, archiveFolder);
  const files = archived === 0 ? [] : readdirSync(folder).map(name => statSync(join(folder, name)).size);
  return [
    number((nowMs - startMs) / DAY_MS),
    number(done),
    number(kept()),
    number(others / MIB),
    number(idsBytes / MIB),
    number(archived === 0 ? 0 : idsBytes / archived),
    number((await store.size()) / MIB),
    number(files.reduce((sum, size) => sum + size, 0) / MIB),
    number(residentMiB(process.pid)),
  ];
}

/** An account of its own: what is archived counts by its day, which any window of whole days cannot tell. */
async function check(): Promise<void> {
  const keptFromMs = nowMs - KEPT_DAYS * DAY_MS;
  for (let window = 0; window < 200; window++) {
    const isRecent = window % 2 === 0;
    const reach = (isRecent ? KEPT_DAYS : DAYS) * DAY_MS;
    let [fromMs, toMs] = [nowMs - below(reach), nowMs - below(reach)].sort((one, other) => one - other) as [
      number,
      number,
    ];
    if (fromMs < keptFromMs) fromMs = dayStart(fromMs);
    if (toMs < keptFromMs + DAY_MS) toMs = dayStart(toMs) - 1;
    const { default: said } = await promised<Summary>(reply => store.summary(fromMs, toMs, reply));
    let [count, sum] = [0, 0];
    for (let n = 0; n < PAYMENTS; n++) {
      if (requestedAtMs[n]! < fromMs || requestedAtMs[n]! > toMs) continue;
      count += 1;
      sum += cents[n]!;
    }
    assert.deepEqual([said.count, totalCents(said)], [count, BigInt(sum)], `from ${fromMs} to ${toMs}`);
  }
  const id = new Uint8Array(16);
  for (let look = 0; look < 1000; look++) {
    const n = below(PAYMENTS);
    writeIdBytes(ids, n * 4, id, 0);
    const found = await promised<StoredPayment | undefined>(reply => store.find(id, reply));
    assert.deepEqual(
      [found?.cents, found?.state, found?.requestedAtMs],
      [cents[n], SETTLED, requestedAtMs[n]],
    );
  }
  const again = new Batch(epoch, generation, AGAIN);
  for (let number = 0; number < AGAIN; number++) {
    const n = below(PAYMENTS);
    const row = again.add(INSERT);
    again.rows.set(ids.subarray(n * 4, n * 4 + 4), row + column.ID);
    again.rows[row + column.ORIGIN] = epoch;
    again.rows[row + column.CENTS] = cents[n]! + (number % 2);
    again.rows[row + column.ACCEPTED_AT] = nowMs;
  }
  const { results } = await promised<Written>(reply => store.write(again, reply));
  for (const [number, result] of results.entries())
    assert.equal(result, number % 2 === 0 ? KNOWN : OTHER_AMOUNT, 'an old id is refused');
  assert.equal(archivedLines() + kept(), PAYMENTS);
}
