/** What the index asks of SQLite. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { DEFAULT, HELD_URL, PINNED, SETTLED, WAITING } from '../../../domain/payment.ts';
import * as row from '../shared-log/tail-table.ts';

export const PAYMENT_COLUMNS =
  'seq, id, cents, accepted_at, origin, state, processor, requested_at, attempts, tries, settled_at, held';
const HERE = `SELECT ${PAYMENT_COLUMNS} FROM payments`;
const ARCHIVED = `SELECT 0, id, cents, requested_at - accepted_before, 0, ${SETTLED}, processor, requested_at, attempts, 0,
    requested_at, 0 FROM archived`;
/** One payment by its id: one statement, so that none is missed that is archived meanwhile. */
export const FIND_PAYMENT = `${HERE} WHERE id = ?1 UNION ALL ${ARCHIVED} WHERE id = ?1`;
export const ALL_PAYMENTS = `${HERE} UNION ALL ${ARCHIVED}`;

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
type Makers = Readonly<Record<string, (database: DatabaseSync) => unknown>>;
type Made<M extends Makers> = { readonly [Name in keyof M]: ReturnType<M[Name]> };

/**
 * Statements of each connection, each prepared when it is used first: what is opened anew over the same
 * connection has them already.
 */
export function lazyStatements<M extends Makers>(makers: M): (database: DatabaseSync) => Made<M> {
  const lazy = Object.defineProperties(
    {},
    Object.fromEntries(
      Object.entries(makers).map(([name, make]) => [
        name,
        {
          enumerable: true,
          get(this: { readonly database: DatabaseSync }) {
            const value = make(this.database);
            Object.defineProperty(this, name, { value });
            return value;
          },
        },
      ]),
    ),
  );
  const known = new WeakMap<DatabaseSync, Made<M>>();
  return database =>
    known.getOrInsertComputed(database, () => Object.create(lazy, { database: { value: database } }));
}

/** Rows are objects. */
export const inObjects =
  (sql: string) =>
  (database: DatabaseSync): StatementSync =>
    database.prepare(sql);

/** Rows are arrays. */
export const inArrays =
  (sql: string) =>
  (database: DatabaseSync): StatementSync => {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    return statement;
  };

/** What the index asks. */
export const statementsOf = lazyStatements({
  synchronous: inObjects('PRAGMA synchronous'),
  log: inObjects('SELECT store, position, state, tail FROM log'),
  position: inObjects('SELECT position FROM log'),
  advance: inObjects('UPDATE log SET position = ?, state = ?, tail = ?'),
  unsettled: inArrays(
    `SELECT ${PAYMENT_COLUMNS} FROM payments
       WHERE state < ${SETTLED} AND held = 0 AND origin IN (SELECT value FROM json_each(?)) AND seq > ?
       ORDER BY seq LIMIT ?`,
  ),
  anyHeld: inObjects('SELECT 1 FROM payments WHERE held > 0 LIMIT 1'),
  held: inArrays(
    `SELECT ${PAYMENT_COLUMNS} FROM payments
       WHERE held = ? AND held > 0 AND settled_at BETWEEN ? AND ? AND origin IN (SELECT value FROM json_each(?))
       ORDER BY settled_at LIMIT ?`,
  ),
  // Below 0 the state of an uncertain one.
  pinnedTo: inArrays(
    `SELECT ${PAYMENT_COLUMNS} FROM payments
         WHERE state < ${SETTLED} AND held = 0 AND state IN (1, 2, -2, -3) AND processor = ?
       UNION ALL SELECT ${PAYMENT_COLUMNS} FROM payments
         WHERE held > 0 AND held <> ${HELD_URL} AND state IN (1, 2, -2, -3) AND processor = ?
       LIMIT ?`,
  ),
  put: inObjects(
    `INSERT INTO payments (${PAYMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seq) DO UPDATE
       SET state = excluded.state, processor = excluded.processor, requested_at = excluded.requested_at,
         attempts = excluded.attempts, tries = excluded.tries, settled_at = excluded.settled_at,
         held = excluded.held`,
  ),
  /** Seqs of the log are above 0. */
  unaccepted: inObjects('SELECT min(0, coalesce(min(seq), 0)) - 1 AS seq FROM payments'),
  change: inObjects(
    `UPDATE payments SET state = ?, processor = ?, requested_at = ?, attempts = ?, tries = ?, settled_at = ?,
         held = ?
       WHERE id = ?`,
  ),
  total: inObjects(
    `INSERT INTO totals VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
       SET count = count + excluded.count, high = high + excluded.high, low = low + excluded.low`,
  ),
  attempt: inObjects('INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?)'),
  act: inObjects(
    `INSERT INTO acts SELECT ?1, coalesce((SELECT max(n) FROM acts WHERE id = ?1), 0) + 1, ?2, ?3, ?4, ?5`,
  ),
  pin: inObjects(
    `UPDATE payments SET state = iif(state < 0, ${~PINNED}, ${PINNED}), processor = max(processor, ${DEFAULT}),
         requested_at = iif(requested_at > 0, requested_at, accepted_at), attempts = max(attempts, 1)
       WHERE seq IN (${UNSETTLED_SEQS}) AND state IN (${WAITING}, ${~WAITING})`,
  ),
  /** The complement of a state, as in the rows of the tail. */
  doubt: inObjects(
    `UPDATE payments SET state = -1 - state WHERE seq IN (${UNSETTLED_SEQS}) AND state BETWEEN ${WAITING} AND ${PINNED}`,
  ),
  purge: (database: DatabaseSync) =>
    ['payments', 'attempts', 'totals', 'acts', 'archived'].map(table =>
      database.prepare(`DELETE FROM ${table}`),
    ),
});
