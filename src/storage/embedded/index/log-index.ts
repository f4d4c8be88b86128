/**
 * The index of the log: what the log says of each payment, in tables that answer questions of any age.
 *
 * Whoever has the lease of the indexer moves the log's tail here, in large transactions: one row for a
 * payment that was accepted, sent and settled meanwhile, and one for each bucket of the totals. The position
 * up to which all is here, and what the order of the log was there, are part of the same transaction: so
 * another one goes on where this one stood, and two that index at once do it once.
 */
import assert from 'node:assert/strict';
import type { DatabaseSync } from 'node:sqlite';
import {
  HELD_AMOUNT,
  HELD_REFUSED,
  HELD_URL,
  isOver,
  PINNED,
  type ProcessorIndex,
  SETTLED,
  writeIdBytes,
} from '../../../domain/payment.ts';
import { heldPauseMaxMs } from '../../../domain/settlement.ts';
import { ACT_KINDS } from '../../acts.ts';
import { TotalsSum } from '../../rollups.ts';
import { keepDamaged, type LogDamage } from '../damage.ts';
import { recoverLog } from '../recovery.ts';
import { actAt, type OrderedAct } from '../shared-log/acts.ts';
import type { Gap } from '../shared-log/decoder.ts';
import { LogBehindError } from '../shared-log/log-error.ts';
import type { LogFiles } from '../shared-log/log-files.ts';
import { Order } from '../shared-log/order.ts';
import type { OrderState } from '../shared-log/order-state.ts';
import { LogReader } from '../shared-log/reader.ts';
import { ACT, END_ATTEMPT, recordDetail } from '../shared-log/records.ts';
import { type StoreId, storeIdOf } from '../shared-log/segments.ts';
import * as row from '../shared-log/tail-table.ts';
import { atOneMoment } from './index-reader.ts';
import { type IndexedPayment, NOT_RETRIED, type PaymentRow, rowOf, statementsOf } from './statements.ts';

/** Where the log goes on, and what its order was there. */
export interface IndexOpened {
  readonly store: Uint8Array;
  readonly position: number;
  readonly state: OrderState | undefined;
  readonly tail: Float64Array;
}

/** What the index found in the log when it was opened, or moved on. */
export interface IndexDamage {
  readonly damage: readonly LogDamage[];
  /** Nobody knows what became of what stood there, until a term begins. */
  readonly isInDoubt: boolean;
}

export interface IndexParts {
  readonly database: DatabaseSync;
  readonly files: LogFiles;
  /** Of the segments. */
  readonly directory: string;
  /** Default: the system's clock. */
  readonly wallMs?: () => number;
}

/** The tables move on while a reader is made: once is rare. */
const BEHIND_MAX = 3;
/** So often another one may have been faster. */
const OTHERS_MAX = 20;

export class LogIndex {
  readonly #parts: IndexParts;
  readonly #statements: ReturnType<typeof statementsOf>;
  readonly #id = new Uint8Array(16);
  #order: Order | undefined;
  #reader: LogReader | undefined;
  /** Everything in front of it is in the tables, as far as this connection has moved it. */
  #position = 0;
  /** Attempts that ended since, with what is to be written of each; and what operators did. */
  #ended: (readonly [Uint8Array, ...number[]])[] = [];
  #acted: OrderedAct[] = [];

  /** What was found to be damaged and kept, and not said yet. */
  #damage: LogDamage[] = [];

  constructor(parts: IndexParts) {
    this.#parts = parts;
    this.#statements = statementsOf(parts.database);
  }

  /**
   * Brings the log and the index together. What the log says the tables had once, and a power loss took from
   * them, is moved anew: whoever reads its marks relies on that. Anything else that is behind can wait, as
   * whoever opens this reads it himself. Throws `StoreOpenError`, and what the reader of the log, the files
   * and SQLite throw; what was found by then to be damaged is for `takeDamage` to say all the same, as
   * nobody finds it again.
   */
  open(): IndexOpened {
    const lost = recoverLog({ wallMs: Date.now, ...this.#parts }, () => this.advance());
    this.#damage.push(...lost);
    // It may go on elsewhere than where this has read.
    if (lost.length > 0) this.forget();
    if (this.#hasLost()) this.advance();
    return this.opened;
  }

  /** What `open` and `advance` have come upon since this was asked last; undefined: nothing. */
  takeDamage(): IndexDamage | undefined {
    const damage = this.#damage.splice(0);
    const isInDoubt = this.#order?.isDamaged === true;
    return damage.length > 0 || isInDoubt ? { damage, isInDoubt } : undefined;
  }

  /** Whether the log says that the tables had more than they have. */
  #hasLost(): boolean {
    for (let behind = 1; ; behind++) {
      try {
        this.#follow().poll();
        return this.#order!.indexedTo > this.position;
      } catch (error) {
        if (!(error instanceof LogBehindError && behind < BEHIND_MAX)) throw error;
      } finally {
        this.forget();
      }
    }
  }

  get opened(): IndexOpened {
    const { store, position, state, tail } = this.#statements.log.get() as {
      store: Uint8Array;
      position: number;
      state: string;
      tail: Uint8Array;
    };
    return {
      store,
      position,
      state: state === '' ? undefined : JSON.parse(state),
      tail: new Float64Array(tail.slice().buffer),
    };
  }

  /** Moves all that the log holds now into the tables; returns the position up to which they have it. */
  advance(): number {
    for (let behind = 1; ; behind++) {
      try {
        const position = this.#advance();
        // Who indexed meanwhile may not have come as far as the log goes by now.
        if (position !== undefined || behind > OTHERS_MAX) return position ?? this.position;
      } catch (error) {
        this.forget();
        // The tables are further than this reader: another one has indexed a segment to its end, and removed
        // it.
        if (!(error instanceof LogBehindError && behind < BEHIND_MAX)) throw error;
      }
    }
  }

  /** Undefined: another one has indexed meanwhile, so that this one has to begin where that one ended. */
  #advance(): number | undefined {
    const reader = this.#follow();
    const order = this.#order!;
    const { generation, termAt, doubtAt } = order;
    // Marks may say more than the tables have, see `open`.
    order.heldFrom = this.#position;
    reader.poll();
    const { position } = reader;
    // The tables may have been moved to a segment that this reader never comes to (see `recovery`).
    if (position === this.#position && this.position === position) return position;
    const { database } = this.#parts;
    database.exec('BEGIN IMMEDIATE');
    try {
      const present = this.position;
      // Another one has indexed meanwhile: what it did is not done twice.
      if (present !== this.#position) {
        database.exec('ROLLBACK');
        this.forget();
        return undefined;
      }
      this.#move(order, generation, termAt, doubtAt);
      order.tail.dropBefore(order.keptFrom);
      this.#statements.advance.run(position, JSON.stringify(order.save()), order.tail.bytes);
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
    this.#position = position;
    this.#forgetMoved();
    return position;
  }

  /** Up to here the tables have the log. */
  get position(): number {
    return (this.#statements.position.get() as { position: number }).position;
  }

  /** Unsettled payments of these origins with a seq above `afterSeq`, ascending, and the position of that. */
  unsettled(
    origins: readonly number[],
    afterSeq: number,
    limit: number,
  ): { readonly payments: IndexedPayment[]; readonly position: number } {
    return atOneMoment(this.#parts.database, () => {
      const found = this.#statements.unsettled.all(
        JSON.stringify(origins),
        afterSeq,
        limit,
      ) as unknown as PaymentRow[];
      return { payments: found.map(rowOf), position: this.position };
    });
  }

  /**
   * Held payments of these origins that are due, those first that are due first, and the position of that.
   */
  held(
    origins: readonly number[],
    dueMs: number,
    limit: number,
  ): { readonly payments: IndexedPayment[]; readonly position: number } {
    return atOneMoment(this.#parts.database, () => {
      // As good as always.
      if (this.#statements.anyHeld.get() === undefined) return { payments: [], position: this.position };
      const of = JSON.stringify(origins);
      const farMs = Math.min(dueMs + heldPauseMaxMs + 1, Number.MAX_SAFE_INTEGER);
      const due = [
        [0, Math.min(dueMs, Number.MAX_SAFE_INTEGER)],
        [farMs, Number.MAX_SAFE_INTEGER],
      ] as const;
      const reasons = [HELD_REFUSED, HELD_AMOUNT, HELD_URL];
      const found = due.flatMap(([from, to]) =>
        reasons.flatMap(reason => this.#statements.held.all(reason, from, to, of, limit)),
      ) as unknown as PaymentRow[];
      return { payments: found.map(rowOf), position: this.position };
    });
  }

  /** Unsettled ones of all origins that a processor may have, and that are not held for its address. */
  pinnedTo(processor: number, limit: number): IndexedPayment[] {
    const found = this.#statements.pinnedTo.all(processor, processor, limit) as unknown as PaymentRow[];
    return found.map(rowOf);
  }

  /** Lets go of the log; the tables stay as they are. */
  forget(): void {
    this.#reader?.close();
    this.#reader = undefined;
    this.#order = undefined;
  }

  close(): void {
    this.forget();
    this.#parts.database.close();
  }

  /** A reader of the log that stands where the tables do. */
  #follow(): LogReader {
    if (this.#reader !== undefined) return this.#reader;
    const { files, directory } = this.#parts;
    const { store, position, state, tail } = this.opened;
    const id: StoreId = storeIdOf(store);
    const order = new Order(id.mark, (kind, start, batch, at) => {
      if (kind === ACT) this.#acted.push(actAt(batch.source, at, 0));
      if (kind !== END_ATTEMPT) return;
      const { view } = batch.source;
      const { rows } = order.tail;
      const bytes = new Uint8Array(16);
      writeIdBytes(rows, start + row.ROW_ID, bytes, 0);
      this.#ended.push([
        bytes,
        view.getUint16(at + 36, true),
        view.getFloat64(at + 40, true),
        view.getInt8(at + 52),
        view.getFloat64(at + 28, true),
        view.getUint8(at + 53),
        Math.round(view.getFloat32(at + 48, true)),
      ]);
      assert(recordDetail(view, at) <= PINNED);
    });
    if (state !== undefined) order.restore(state, tail);
    let { generation } = order;
    const fed = (): void => {
      if (order.generation !== generation) this.#forgetMoved();
      ({ generation } = order);
    };
    this.#order = order;
    this.#position = position;
    this.#forgetMoved();
    this.#reader = new LogReader({
      files,
      directory,
      id,
      order,
      position,
      events: { gap: (segment, gap) => this.#passedOver(segment, gap), fed, left: fd => files.close(fd) },
    });
    return this.#reader;
  }

  #passedOver(segment: number, gap: Gap): void {
    const { files, directory } = this.#parts;
    const damage = keepDamaged(files, directory, segment, gap);
    if (damage !== undefined) this.#damage.push(damage);
  }

  #move(order: Order, generationBefore: number, termBefore: number, doubtBefore: number): void {
    const statements = this.#statements;
    if (order.generation !== generationBefore) for (const clear of statements.purge) clear.run();
    if (order.termAt !== termBefore) statements.pin.run();
    if (order.doubtAt !== doubtBefore) statements.doubt.run();
    const { rows, count } = order.tail;
    const totals = new TotalsSum();
    for (let start = 0; start < count * row.ROW_COLUMNS; start += row.ROW_COLUMNS) {
      if (rows[start + row.ROW_POSITION]! < this.#position) continue;
      this.#put(order, rows, start);
      if (rows[start + row.ROW_STATE] !== SETTLED) continue;
      const processor = rows[start + row.ROW_PROCESSOR] as ProcessorIndex;
      totals.add(processor, rows[start + row.ROW_REQUESTED_AT]!, rows[start + row.ROW_CENTS]!);
    }
    totals.each((level, bucket, processor, { count: number, high, low }) => {
      statements.total.run(level, bucket, processor, number, high, low);
    });
    for (const ended of this.#ended) statements.attempt.run(...ended);
    for (const { id, atMs, kind, who, text } of this.#acted)
      statements.act.run(id, atMs, ACT_KINDS.indexOf(kind), who, text);
  }

  #forgetMoved(): void {
    this.#ended = [];
    this.#acted = [];
  }

  #put(order: Order, rows: Float64Array, start: number): void {
    writeIdBytes(rows, start + row.ROW_ID, this.#id, 0);
    const changed = [
      rows[start + row.ROW_STATE]!,
      rows[start + row.ROW_PROCESSOR]!,
      rows[start + row.ROW_REQUESTED_AT]!,
      rows[start + row.ROW_ATTEMPTS]!,
      rows[start + row.ROW_TRIES]!,
      Number.isFinite(rows[start + row.ROW_SETTLED_AT]!) ? rows[start + row.ROW_SETTLED_AT]! : NOT_RETRIED,
      rows[start + row.ROW_HELD]!,
    ];
    if (rows[start + row.ROW_SEQ] === 0) {
      const { changes } = this.#statements.change.run(...changed, this.#id);
      if (Number(changes) === 0) this.#putUnaccepted(order, rows, start, changed);
      return;
    }
    this.#statements.put.run(
      rows[start + row.ROW_SEQ]!,
      this.#id,
      rows[start + row.ROW_CENTS]!,
      rows[start + row.ROW_ACCEPTED_AT]!,
      rows[start + row.ROW_ORIGIN]!,
      ...changed,
    );
  }

  /** The acceptance was in a part of the log that was passed over: what is over is that all the same. */
  #putUnaccepted(order: Order, rows: Float64Array, start: number, changed: readonly number[]): void {
    const origin = rows[start + row.ROW_ORIGIN]!;
    assert(order.members.isDoubted(origin), 'a payment whose acceptance the index should have is not there');
    if (!isOver(rows[start + row.ROW_STATE]!)) return;
    const { seq } = this.#statements.unaccepted.get() as { seq: number };
    const acceptedAtMs = rows[start + row.ROW_REQUESTED_AT]!;
    this.#statements.put.run(seq, this.#id, rows[start + row.ROW_CENTS]!, acceptedAtMs, origin, ...changed);
  }
}
