/** What the index asks of SQLite. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { DEFAULT, HELD_URL, PINNED, SETTLED, WAITING } from '../../../domain/payment.ts';
import * as row from '../shared-log/tail-table.ts';

export const PAYMENT_COLUMNS =
  'seq, id, cents, accepted_at, origin, state, processor, requested_at, attempts, tries, settled_at, held';
/** One payment by its id: one statement, so that none is missed that is archived meanwhile. */
export const FIND_PAYMENT = `SELECT ${PAYMENT_COLUMNS} FROM payments WHERE id = ?1
  UNION ALL SELECT 0, id, cents, requested_at - accepted_before, 0, ${SETTLED}, processor, requested_at, attempts, 0,
    requested_at, 0 FROM archived WHERE id = ?1`;

/** Of all that are not settled: two indexes have them, and no other rows are read. */
const UNSETTLED_SEQS = `SELECT seq FROM payments WHERE state < ${SETTLED} AND held = 0
  UNION ALL SELECT seq FROM payments WHERE held > 0`;

export type PaymentRow = readonly [number, Uint8Array, ...number[]];

export function rowOf([seq, id, cents, acceptedAtMs, origin, ...progress]: PaymentRow): IndexedPayment {
  const found = new Float64Array(row.ROW_COLUMNS);
  const [state, processor, requestedAtMs, attempts, tries, settledAtMs, held] = progress;
  found[row.ROW_SEQ] = seq;
  const view = new DataView(id.buffer, id.byteOffset, 16);
  for (let word = 0; word < 4; word++) found[row.ROW_ID + word] = view.getInt32(word * 4);
  found[row.ROW_CENTS] = cents!;
  found[row.ROW_ACCEPTED_AT] = acceptedAtMs!;
  found[row.ROW_ORIGIN] = origin!;
  found[row.ROW_STATE] = state!;
  found[row.ROW_PROCESSOR] = processor!;
  found[row.ROW_REQUESTED_AT] = requestedAtMs!;
  found[row.ROW_ATTEMPTS] = attempts!;
  found[row.ROW_TRIES] = tries!;
  found[row.ROW_SETTLED_AT] = settledAtMs === NOT_RETRIED ? Infinity : settledAtMs!;
  found[row.ROW_HELD] = held!;
  return found;
}

/** A payment as the index has it: the columns of a row of the tail, without its position. */
export type IndexedPayment = Float64Array;

/** In place of an instant: the payment is held, and not tried again by itself. */
export const NOT_RETRIED = -1;
type Statements = ReturnType<typeof prepare>;

/** Of each connection: an index that is opened anew over the same one has them already. */
const prepared = new WeakMap<DatabaseSync, Statements>();

/** All statements of the index. */
export function statementsOf(database: DatabaseSync): Statements {
  const known = prepared.get(database);
  if (known !== undefined) return known;
  const statements = prepare(database);
  prepared.set(database, statements);
  return statements;
}

function prepare(database: DatabaseSync) {
  const arrays = (sql: string): StatementSync => {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    return statement;
  };
  return {
    synchronous: database.prepare('PRAGMA synchronous'),
    log: database.prepare('SELECT store, position, state, tail FROM log'),
    position: database.prepare('SELECT position FROM log'),
    advance: database.prepare('UPDATE log SET position = ?, state = ?, tail = ?'),
    unsettled: arrays(
      `SELECT ${PAYMENT_COLUMNS} FROM payments
       WHERE state < ${SETTLED} AND held = 0 AND origin IN (SELECT value FROM json_each(?)) AND seq > ?
       ORDER BY seq LIMIT ?`,
    ),
    held: arrays(
      `SELECT ${PAYMENT_COLUMNS} FROM payments
       WHERE held = ? AND held > 0 AND settled_at BETWEEN ? AND ? AND origin IN (SELECT value FROM json_each(?))
       ORDER BY settled_at LIMIT ?`,
    ),
    // Below 0 the state of an uncertain one.
    pinnedTo: arrays(
      `SELECT ${PAYMENT_COLUMNS} FROM payments
         WHERE state < ${SETTLED} AND held = 0 AND state IN (1, 2, -2, -3) AND processor = ?
       UNION ALL SELECT ${PAYMENT_COLUMNS} FROM payments
         WHERE held > 0 AND held <> ${HELD_URL} AND state IN (1, 2, -2, -3) AND processor = ?
       LIMIT ?`,
    ),
    put: database.prepare(
      `INSERT INTO payments (${PAYMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seq) DO UPDATE
       SET state = excluded.state, processor = excluded.processor, requested_at = excluded.requested_at,
         attempts = excluded.attempts, tries = excluded.tries, settled_at = excluded.settled_at,
         held = excluded.held`,
    ),
    /** Seqs of the log are above 0. */
    unaccepted: database.prepare('SELECT min(0, coalesce(min(seq), 0)) - 1 AS seq FROM payments'),
    change: database.prepare(
      `UPDATE payments SET state = ?, processor = ?, requested_at = ?, attempts = ?, tries = ?, settled_at = ?,
         held = ?
       WHERE id = ?`,
    ),
    total: database.prepare(
      `INSERT INTO totals VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
       SET count = count + excluded.count, high = high + excluded.high, low = low + excluded.low`,
    ),
    attempt: database.prepare('INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?)'),
    act: database.prepare(
      `INSERT INTO acts SELECT ?1, coalesce((SELECT max(n) FROM acts WHERE id = ?1), 0) + 1, ?2, ?3, ?4, ?5`,
    ),
    pin: database.prepare(
      `UPDATE payments SET state = ${PINNED}, processor = max(processor, ${DEFAULT}),
         requested_at = iif(requested_at > 0, requested_at, accepted_at), attempts = max(attempts, 1)
       WHERE seq IN (${UNSETTLED_SEQS}) AND state = ${WAITING}`,
    ),
    /** The complement of a state, as in the rows of the tail. */
    doubt: database.prepare(
      `UPDATE payments SET state = -1 - state WHERE seq IN (${UNSETTLED_SEQS}) AND state BETWEEN ${WAITING} AND ${PINNED}`,
    ),
    purge: ['payments', 'attempts', 'totals', 'acts', 'archived'].map(table =>
      database.prepare(`DELETE FROM ${table}`),
    ),
  };
}
