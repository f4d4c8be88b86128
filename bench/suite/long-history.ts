/**
 * A store with tens of millions of settled payments, made in minutes: their rows are put into the index
 * behind the engine's back, and the tree over their ids is built when all of them are there.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { SETTLED } from '../../src/domain/payment.ts';
import { indexFile } from '../../src/storage/embedded/index/tables.ts';
import { LEVELS, RADIX } from '../../src/storage/rollups.ts';
import { fillStore } from './fill.ts';

/** What each of the payments is of, in cents. */
export const HISTORY_CENTS = 1990;
/** What the engine itself has stored behind them, so that there is a state to go on from. */
const STORED_LAST = 1024;
/** So many have each millisecond of `requestedAt`. */
const PER_MS = 10;
const ROWS_A_STEP = 1_000_000;
const MEMORY_KIB = 256 * 1024;

/**
 * Makes a store of so many payments, a multiple of 10 above 1,024, whose ids are those of `historyId`. Fit
 * for `removeDirectory`; returns its directory.
 */
export async function fillHistory(payments: number, tell: (what: string) => void): Promise<string> {
  const { directory, firstMs } = await fillStore(STORED_LAST, () => {});
  const database = open(directory);
  database.function('history_id', { deterministic: true }, number => historyId(Number(number)));
  // The engine's own come last.
  database.exec(`UPDATE payments SET seq = seq + ${payments}`);
  const attachIds = detachIds(database);
  const fromMs = firstMs - 1 - payments / PER_MS;
  const put = database.prepare(
    `WITH RECURSIVE numbers(n) AS (SELECT CAST(? AS INTEGER) UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
     INSERT INTO payments (seq, id, cents, accepted_at, origin, state, processor, requested_at, attempts, tries,
       settled_at) SELECT n, history_id(n), ${HISTORY_CENTS}, at, 1, ${SETTLED}, 0, at, 1, 0, at + 5
     FROM (SELECT n, ${fromMs} + (n - 1) / ${PER_MS} AS at FROM numbers)`,
  );
  for (let first = 1; first <= payments; first += ROWS_A_STEP) {
    put.run(first, Math.min(payments, first + ROWS_A_STEP - 1));
    tell(`storing ${payments.toLocaleString('en-US')} payments, ${Math.round((first / payments) * 100)} %`);
    // So that whoever waits sees it, and may end it.
    await setImmediate();
  }
  sumUp(database, fromMs, payments / PER_MS);
  // As if marks had been read: so nobody takes the log's tail for all that there is.
  database.exec(
    `UPDATE log SET tail = x'', state = json_set(state, '$.seq', json_extract(state, '$.seq') + ${payments},
       '$.marks', 2, '$.keptFrom', position, '$.indexedTo', position)`,
  );
  tell('building the tree over their ids');
  await setImmediate();
  attachIds();
  database.close();
  return directory;
}

const view = new DataView(new ArrayBuffer(16));
const bytes = new Uint8Array(view.buffer);

/** The id of a payment of a long history, by its number; valid until the next call. */
export function historyId(number: number): Uint8Array {
  for (let word = 0; word < 4; word++) view.setInt32(word * 4, mixed(number ^ (0x9e3779b9 * (word + 1))));
  return bytes;
}

/** No two numbers of 32 bits give the same. */
function mixed(number: number): number {
  let mix = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  mix = Math.imul(mix ^ (mix >>> 13), 0xc2b2ae35);
  return mix ^ (mix >>> 16);
}

/** Of a file that is thrown away if this is not finished. */
function open(directory: string): DatabaseSync {
  const database = new DatabaseSync(join(directory, indexFile), { defensive: false });
  database.exec(`
    PRAGMA journal_mode = DELETE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
    PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -${MEMORY_KIB};
  `);
  return database;
}

/** Lets rows be put in without their ids being checked; returns what builds the tree over them anew. */
function detachIds(database: DatabaseSync): () => void {
  const { sql } = database.prepare("SELECT sql FROM sqlite_schema WHERE name = 'payments'").get() as {
    sql: string;
  };
  const change = (statement: string, ...values: string[]): void => {
    database.exec('PRAGMA writable_schema = ON');
    database.prepare(statement).run(...values);
    database.exec('PRAGMA writable_schema = RESET');
  };
  const declare = "UPDATE sqlite_schema SET sql = ? WHERE name = 'payments'";
  const tree = 'sqlite_autoindex_payments_1';
  database.exec('PRAGMA writable_schema = ON');
  database.prepare('DELETE FROM sqlite_schema WHERE name = ?').run(tree);
  change(declare, sql.replace(' UNIQUE', ''));
  return () => {
    database.exec('CREATE UNIQUE INDEX history ON payments (id)');
    database.exec('PRAGMA writable_schema = ON');
    database.prepare("UPDATE sqlite_schema SET name = ?, sql = NULL WHERE name = 'history'").run(tree);
    change(declare, sql);
  };
}

/** The totals of so many ms from `fromMs`, all alike, beside those that are there. */
function sumUp(database: DatabaseSync, fromMs: number, milliseconds: number): void {
  database.exec(`
    DELETE FROM totals WHERE level > 0;
    WITH RECURSIVE buckets(at) AS (
      SELECT ${fromMs} UNION ALL SELECT at + 1 FROM buckets WHERE at < ${fromMs + milliseconds - 1}
    ) INSERT INTO totals SELECT 0, at, 0, ${PER_MS}, 0, ${PER_MS * HISTORY_CENTS} FROM buckets;
  `);
  for (let level = 1; level < LEVELS; level++)
    database.exec(`
      INSERT INTO totals SELECT ${level}, bucket / ${RADIX} AS parent, processor, sum(count), sum(high), sum(low)
      FROM totals WHERE level = ${level - 1} GROUP BY parent, processor
    `);
}
