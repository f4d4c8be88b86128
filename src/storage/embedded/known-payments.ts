/**
 * What is known of payments: the index has what is old, the log's tail what came since. Which of the two
 * counts is a matter of positions, and decided here.
 */

import { addCents, addTotal, emptyTotal, type Total } from '../../domain/money.ts';
import {
  CLOSED,
  idText,
  idWords,
  isOver,
  NOT_HELD,
  type ProcessorIndex,
  SETTLED,
  type StoredPayment,
  type Summary,
  WAITING,
  writeIdBytes,
} from '../../domain/payment.ts';
import { isHeldDue } from '../../domain/settlement.ts';
import type { IndexClient } from './index/index-client.ts';
import type { IndexedPayment } from './index/statements.ts';
import type { Order } from './shared-log/order.ts';
import { shareOf } from './shared-log/ordered-members.ts';
import { certain, doubtRow, pinRow } from './shared-log/row-changes.ts';
import * as row from './shared-log/tail-table.ts';
import { storedPayment } from './stored-payment.ts';

export class KnownPayments {
  readonly #order: Order;
  readonly #index: Pick<IndexClient, 'find' | 'closedBecause'>;

  /** `index`: its questions may throw `StoreFault`. */
  constructor(order: Order, index: Pick<IndexClient, 'find' | 'closedBecause'>) {
    this.#order = order;
    this.#index = index;
  }

  /** The amount of a payment that is known already. Of one that somebody accepts just now the order tells. */
  cents(words: ArrayLike<number>, from: number): number | undefined {
    const { tail } = this.#order;
    const start = tail.find(words, from);
    if (start >= 0 && tail.rows[start + row.ROW_SEQ]! > 0) return tail.rows[start + row.ROW_CENTS];
    return this.#indexed(idOf(words, from))?.[row.ROW_CENTS];
  }

  /**
   * Whether a payment that the tail has let go of is there to be settled; of the tail's own the order tells.
   */
  isUnsettled(words: ArrayLike<number>, from: number): boolean {
    if (this.#order.tail.find(words, from) >= 0) return true;
    const indexed = this.#indexed(idOf(words, from));
    return indexed !== undefined && indexed[row.ROW_STATE]! < SETTLED;
  }

  find(words: Int32Array, id: Uint8Array): IndexedPayment | undefined {
    const { tail } = this.#order;
    const start = tail.find(words, 0);
    const inTail = start < 0 ? undefined : tail.rows.slice(start, start + row.ROW_COLUMNS);
    if (inTail !== undefined && inTail[row.ROW_SEQ]! > 0) return inTail;
    const indexed = this.#indexed(id);
    if (indexed === undefined) return inTail && endAlone(inTail);
    return inTail ? overlaid(indexed, inTail) : indexed;
  }

  /** One payment by its 16 bytes, in the words of the port. */
  stored(id: Uint8Array): StoredPayment | undefined {
    const found = this.find(idWords(id), id);
    if (found === undefined || found[row.ROW_STATE] !== CLOSED) return found && storedPayment(found);
    const act = this.#order.acts.findLast(each => idText(each.id) === idText(id));
    return storedPayment(found, act?.text ?? this.#index.closedBecause(id));
  }

  #indexed(id: Uint8Array): IndexedPayment | undefined {
    // Until a mark behind a purge is read, the tail has all that there is since.
    const { indexedTo } = this.#order;
    if (this.isPurged(indexedTo)) return undefined;
    const found = this.#index.find(id);
    return found && this.ofTerm(found, indexedTo);
  }

  /**
   * What an index that has the log up to `position` says of a payment: a term that began since has pinned it,
   * or made it uncertain, or both.
   */
  ofTerm(indexed: IndexedPayment, position: number): IndexedPayment {
    const { termAt, doubtAt } = this.#order;
    const isPinned = position <= termAt && certain(indexed[row.ROW_STATE]!) === WAITING;
    const isDoubted = position <= doubtAt && indexed[row.ROW_STATE]! < SETTLED;
    if (!isPinned && !isDoubted) return indexed;
    const changed = indexed.slice();
    if (isPinned) pinRow(changed, 0);
    if (isDoubted) doubtRow(changed, 0);
    return changed;
  }

  /** Whether an index that has the log up to `position` still has what was purged, and nothing else. */
  isPurged(position: number): boolean {
    const { purgedAt } = this.#order;
    return purgedAt > 0 && position <= purgedAt;
  }

  /**
   * Unsettled payments of an epoch up to `lastSeq` that are not held: those of the index as the tail has
   * changed them, and those of the tail alone.
   */
  owned(
    indexed: readonly IndexedPayment[],
    epoch: number,
    afterSeq: number,
    lastSeq: number,
  ): StoredPayment[] {
    const { tail } = this.#order;
    const owned = new Map<number, IndexedPayment>();
    for (const payment of indexed) {
      const start = tail.find(payment, row.ROW_ID);
      const known =
        start < 0 ? payment : overlaid(payment, tail.rows.subarray(start, start + row.ROW_COLUMNS));
      owned.set(known[row.ROW_SEQ]!, known);
    }
    for (let start = 0; start < tail.count * row.ROW_COLUMNS; start += row.ROW_COLUMNS) {
      const seq = tail.rows[start + row.ROW_SEQ]!;
      if (seq > afterSeq && seq <= lastSeq) owned.set(seq, tail.rows.slice(start, start + row.ROW_COLUMNS));
    }
    return [...owned.values()]
      .filter(payment => this.#isOf(payment, epoch) && payment[row.ROW_HELD] === NOT_HELD)
      .sort((one, other) => one[row.ROW_SEQ]! - other[row.ROW_SEQ]!)
      .map(payment => storedPayment(payment));
  }

  /** Held payments of an epoch that are due: those of the index as the tail has changed them, and its own. */
  held(indexed: readonly IndexedPayment[], epoch: number, dueMs: number): StoredPayment[] {
    const { tail } = this.#order;
    const held = new Map<number, IndexedPayment>();
    for (const payment of indexed)
      if (tail.find(payment, row.ROW_ID) < 0) held.set(payment[row.ROW_SEQ]!, payment);
    for (let start = 0; start < tail.count * row.ROW_COLUMNS; start += row.ROW_COLUMNS) {
      if (tail.rows[start + row.ROW_HELD] === NOT_HELD) continue;
      if (!isHeldDue(tail.rows[start + row.ROW_SETTLED_AT]!, dueMs)) continue;
      const known = this.#whole(start);
      if (known !== undefined) held.set(known[row.ROW_SEQ]!, known);
    }
    return [...held.values()]
      .filter(payment => this.#isOf(payment, epoch))
      .map(payment => storedPayment(payment))
      .sort((one, other) => one.retryAtMs - other.retryAtMs || one.seq - other.seq);
  }

  #isOf(payment: IndexedPayment, epoch: number): boolean {
    const owner = this.#order.members.owner(payment[row.ROW_ORIGIN]!, shareOf(payment[row.ROW_ID + 3]!));
    return payment[row.ROW_STATE]! < SETTLED && owner === epoch;
  }

  /**
   * The payment in the tail's row at `start`, with what only the index has of it; undefined: its acceptance
   * was damaged.
   */
  #whole(start: number): IndexedPayment | undefined {
    const inTail = this.#order.tail.rows.slice(start, start + row.ROW_COLUMNS);
    if (inTail[row.ROW_SEQ]! > 0) return inTail;
    const indexed = this.#indexed(idOf(inTail, row.ROW_ID));
    return indexed && overlaid(indexed, inTail);
  }

  /** A summary of the index at `position`, with what the tail has behind that. */
  withTail(summary: Summary, position: number, fromMs: number, toMs: number): Summary {
    const totals: [Total, Total] = [emptyTotal(), emptyTotal()];
    if (!this.isPurged(position)) {
      addTotal(totals[0], summary.default);
      addTotal(totals[1], summary.fallback);
    }
    const { rows, count } = this.#order.tail;
    for (let start = 0; start < count * row.ROW_COLUMNS; start += row.ROW_COLUMNS) {
      if (rows[start + row.ROW_STATE] !== SETTLED || rows[start + row.ROW_POSITION]! < position) continue;
      const atMs = rows[start + row.ROW_REQUESTED_AT]!;
      if (atMs < fromMs || atMs > toMs) continue;
      addCents(totals[rows[start + row.ROW_PROCESSOR] as ProcessorIndex], rows[start + row.ROW_CENTS]!);
    }
    return { default: totals[0], fallback: totals[1] };
  }
}

function idOf(words: ArrayLike<number>, from: number): Uint8Array {
  const id = new Uint8Array(16);
  writeIdBytes(words, from, id, 0);
  return id;
}

/**
 * Where the acceptance was damaged, what settled or closed the payment says all that is to be known; of the
 * acceptance it stands for the same as in the index. Undefined: it is not over.
 */
function endAlone(tail: Float64Array): IndexedPayment | undefined {
  if (!isOver(tail[row.ROW_STATE]!)) return undefined;
  tail[row.ROW_ACCEPTED_AT] = tail[row.ROW_REQUESTED_AT]!;
  return tail;
}

/** What the index has of a payment, as later records have changed it. */
function overlaid(indexed: IndexedPayment, tail: Float64Array): IndexedPayment {
  const found = tail.slice();
  for (const name of [row.ROW_SEQ, row.ROW_CENTS, row.ROW_ACCEPTED_AT, row.ROW_ORIGIN])
    found[name] = indexed[name]!;
  return found;
}
