/** What an instance owns and has to settle: of the index what is old, of the log's tail what came since. */
import { FALLBACK, type StoredPayment } from '../../domain/payment.ts';
import { type Reply, StoreFault } from '../ports.ts';
import type { IndexClient } from './index/index-client.ts';
import type { KnownPayments } from './known-payments.ts';
import type { Order } from './shared-log/order.ts';
import * as row from './shared-log/tail-table.ts';
import type { LogWriter } from './shared-log/writer.ts';

export interface OwnedParts {
  readonly order: Order;
  readonly known: KnownPayments;
  readonly index: IndexClient;
  /** The log that is open now. */
  readonly log: () => LogWriter | undefined;
  /** Replies once the disk has all that was read. */
  readonly replyFromDisk: (found: StoredPayment[], reply: Reply<StoredPayment[]>) => void;
  /** Whether a `202` waits for the disk: what comes from here is acknowledged again without another write. */
  readonly isFlushing: boolean;
  /** An expected failure in the store's words; any other error is thrown on. */
  readonly faultOf: (error: unknown) => StoreFault;
}

/**
 * Own unsettled payments that are not held, with a seq above `afterSeq`, at most `limit`. `indexLimit`: so
 * many the index is asked for, as the tail may know that some of them are settled.
 */
export function takeOwned(
  parts: OwnedParts,
  afterSeq: number,
  limit: number,
  reply: Reply<StoredPayment[]>,
  indexLimit = limit,
): void {
  const { order, known, index, log, faultOf } = parts;
  const origins = order.members.originsOf(log()?.epoch ?? 0);
  index.unsettled(origins, afterSeq, indexLimit, answer => {
    let owned: StoredPayment[] | StoreFault;
    try {
      if (answer instanceof StoreFault) throw answer;
      const open = log();
      if (open === undefined) throw new StoreFault('lost', 'the log is closed');
      open.poll();
      // The tail has moved on while the index was asked: what lies between is in neither answer.
      if (order.keptFrom > answer.position) {
        takeOwned(parts, afterSeq, limit, reply, indexLimit);
        return;
      }
      const { position } = answer;
      const payments = known.isPurged(position)
        ? []
        : answer.payments.map(each => known.ofTerm(each, position));
      const isLast = payments.length < indexLimit;
      const lastSeq = isLast ? Infinity : payments.at(-1)![row.ROW_SEQ]!;
      owned = known.owned(payments, open.epoch, afterSeq, lastSeq);
      if (owned.length < limit && !isLast) {
        takeOwned(parts, afterSeq, limit, reply, indexLimit * 2);
        return;
      }
    } catch (error) {
      owned = faultOf(error);
    }
    replySafely(parts, owned instanceof StoreFault ? owned : owned.slice(0, limit), reply);
  });
}

/** Own held payments that are due at `dueMs`, at most `limit`. */
export function takeOwnedHeld(
  parts: OwnedParts,
  dueMs: number,
  limit: number,
  reply: Reply<StoredPayment[]>,
): void {
  const { order, known, index, log, faultOf } = parts;
  // The tail may know of some that they are not held any more.
  const indexLimit = limit + order.tail.count;
  index.held(order.members.originsOf(log()?.epoch ?? 0), dueMs, indexLimit, answer => {
    let held: StoredPayment[] | StoreFault;
    try {
      if (answer instanceof StoreFault) throw answer;
      const open = log();
      if (open === undefined) throw new StoreFault('lost', 'the log is closed');
      open.poll();
      const { position } = answer;
      // What lies between is in neither answer.
      if (order.keptFrom > position) {
        takeOwnedHeld(parts, dueMs, limit, reply);
        return;
      }
      const payments = known.isPurged(position) ? [] : answer.payments;
      held = known.held(
        payments.map(each => known.ofTerm(each, position)),
        open.epoch,
        dueMs,
      );
    } catch (error) {
      held = faultOf(error);
    }
    replySafely(parts, held instanceof StoreFault ? held : held.slice(0, limit), reply);
  });
}

function replySafely(
  parts: OwnedParts,
  found: StoredPayment[] | StoreFault,
  reply: Reply<StoredPayment[]>,
): void {
  // An intent may have counted in a write that the disk did not take: then nothing of it has left yet.
  const isOnDisk =
    !parts.isFlushing && Array.isArray(found) && found.every(({ processor }) => processor !== FALLBACK);
  if (found instanceof StoreFault || isOnDisk) reply(found);
  else parts.replyFromDisk(found, reply);
}
