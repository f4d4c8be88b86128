/** The log as one instance follows it, from where the index has it; and what it knew of it before. */
import { CLOSED, SETTLED } from '../../domain/payment.ts';
import { appendOrThrow } from './appending.ts';
import { keepDamaged } from './damage.ts';
import type { IndexOpened } from './index/log-index.ts';
import type { KnownPayments } from './known-payments.ts';
import type { EmbeddedParts } from './parts.ts';
import { Order } from './shared-log/order.ts';
import { certain } from './shared-log/row-changes.ts';
import { storeIdOf } from './shared-log/segments.ts';
import * as row from './shared-log/tail-table.ts';
import { LogWriter } from './shared-log/writer.ts';

/** Nothing of it is read yet. Throws what the reader of the log throws. */
export function followLog(
  { logDirectory, files, events, segmentBytes, tailRowsMax }: EmbeddedParts,
  { store, state, tail, position }: IndexOpened,
): { readonly order: Order; readonly log: LogWriter } {
  const id = storeIdOf(store);
  const order = new Order(id.mark);
  order.tail.rowsMax = tailRowsMax ?? order.tail.rowsMax;
  if (state !== undefined) order.restore(state, tail);
  const log = new LogWriter({
    ...{ files, directory: logDirectory, id, order, position },
    events: {
      gap: (segment, gap) => {
        const found = keepDamaged(files, logDirectory, segment, gap);
        if (found !== undefined) events.damaged(found);
      },
    },
    ...(segmentBytes === undefined ? {} : { segmentBytes }),
  });
  return { order, log };
}

/**
 * Accepts again what was read before it was damaged, and is known to nobody else any more: it was answered
 * with `202`. What was settled is booked again. As the log is in doubt, what is unsettled is uncertain. Of
 * several who remember a payment the first one has it. Throws `StoreFault`.
 */
export function rememberPayments(before: Order, log: LogWriter, order: Order, known: KnownPayments): void {
  if (before.store !== order.store || before.generation !== order.generation) return;
  const { rows, count } = before.tail;
  for (let start = 0; start < count * row.ROW_COLUMNS; start += row.ROW_COLUMNS) {
    const words = start + row.ROW_ID;
    const state = certain(rows[start + row.ROW_STATE]!);
    // Without a number its acceptance is in the index; closed, it is over, and nothing is owed.
    if (rows[start + row.ROW_SEQ] === 0 || state === CLOSED) continue;
    if (known.cents(rows, words) !== undefined) continue;
    const cents = rows[start + row.ROW_CENTS]!;
    if (!log.batch().hasRoom()) appendOrThrow(log);
    log.batch().accept(rows, words, log.epoch, cents, rows[start + row.ROW_ACCEPTED_AT]!);
    if (state !== SETTLED) continue;
    const [requestedAtMs, settledAtMs] = [
      rows[start + row.ROW_REQUESTED_AT]!,
      rows[start + row.ROW_SETTLED_AT]!,
    ];
    const attempts = rows[start + row.ROW_ATTEMPTS]!;
    const processor = rows[start + row.ROW_PROCESSOR]!;
    log.batch().book(rows, words, log.epoch, processor, requestedAtMs, settledAtMs, cents, attempts);
  }
  appendOrThrow(log);
}
