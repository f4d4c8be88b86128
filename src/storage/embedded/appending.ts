/** Appends to the log in the words of the port: rows in, results or a `StoreFault` out. */
import { type Batch, needsRoom } from '../batch.ts';
import { FORGOTTEN, StoreFault, type Written } from '../ports.ts';
import { indexFaultOf } from './index/schema.ts';
import type { KnownPayments } from './known-payments.ts';
import { decodeResults, encodeRows } from './rows-to-records.ts';
import type { Order } from './shared-log/order.ts';
import {
  BATCH_FENCED,
  BATCH_PURGED,
  BATCH_STALE,
  type BatchVerdict,
  COUNTED,
} from './shared-log/order-state.ts';
import { INDEXER } from './shared-log/ordered-members.ts';
import { LogFault, type LogWriter } from './shared-log/writer.ts';

/**
 * Batches are appended again when the index has moved on under their look-ups: once is rare, twice never
 * seen.
 */
const LOOK_UPS_MAX = 8;

/** An epoch that never is. */
const NOBODY = 2 ** 32 - 1;

/**
 * What became of the batch that was written last, in case it is written again. Nothing of that is stored: a
 * batch that was appended is read sooner or later, and what it rested on is kept until then.
 */
export class LastBatch {
  #epoch = 0;
  #number = 0;
  /** Of the log's batch that the rows are in. */
  #logNumber = 0;
  #places: Int32Array = new Int32Array(0);
  #results: Float64Array = new Float64Array(0);
  #written: Written | undefined;

  begin({ epoch, number }: Batch, logNumber: number, places: Int32Array, results: Float64Array): void {
    this.#epoch = epoch;
    this.#number = number;
    this.#logNumber = logNumber;
    this.#places = places;
    this.#results = results;
    this.#written = undefined;
  }

  /** The log's batch counts: `decided` is what became of its records. */
  end(batch: Batch, decided: Float64Array): Written {
    decodeResults(batch, this.#places, decided, this.#results);
    this.#written = { generation: batch.generation, results: this.#results };
    return this.#written;
  }

  /** What this batch got the first time; undefined: nothing, as it does not count yet. */
  resultsOf(batch: Batch, { readLate }: LogWriter): Written | undefined {
    if (batch.number === 0 || batch.number !== this.#number || batch.epoch !== this.#epoch) return undefined;
    if (this.#written === undefined && readLate?.number === this.#logNumber)
      return this.end(batch, readLate.results);
    return this.#written;
  }
}

/**
 * Appends the rows of a batch, again when the look-ups in the index that they rest on are too old. Throws
 * `StoreFault`, and what the log throws.
 */
export function appendRows(
  log: LogWriter,
  order: Order,
  known: KnownPayments,
  batch: Batch,
  last: LastBatch,
): Written {
  const { count } = batch;
  const results = new Float64Array(count);
  for (let tries = 0; tries < LOOK_UPS_MAX; tries++) {
    log.poll();
    if (order.members.living(log.epoch) === undefined)
      throw new StoreFault('fenced', `epoch ${log.epoch} has passed`);
    if (batch.epoch !== log.epoch) throw new StoreFault('fenced', `epoch ${batch.epoch} has passed`);
    if (batch.generation < order.generation) return forgotten(order, results);
    const first = last.resultsOf(batch, log);
    if (first !== undefined) return first;
    if (order.tail.isFull && needsRoom(batch))
      throw new StoreFault('full', `the index is ${order.tail.count} payments behind the log`);
    const places = encodeRows(log.batch(), batch, results, known);
    // An empty batch asks whether the log takes anything: with a record that means nothing.
    if (count === 0) log.batch().lease(INDEXER, NOBODY);
    last.begin(batch, log.number, places, results);
    const verdict = append(log);
    switch (verdict) {
      case COUNTED:
        return last.end(batch, log.results);
      case BATCH_PURGED:
        return forgotten(order, results);
      case BATCH_STALE:
        break;
      default:
        throw new StoreFault('lost', `the log took a batch for ${verdict}`);
    }
  }
  throw new StoreFault('busy', 'the index moves on faster than it can be asked');
}

const forgotten = ({ generation }: Order, results: Float64Array): Written => ({
  generation,
  results: results.fill(FORGOTTEN),
});

/** Appends what the log's batch holds; returns what became of its records. Throws `StoreFault`. */
export function appendOrThrow(log: LogWriter): Float64Array {
  const verdict = append(log);
  if (verdict !== COUNTED) throw new StoreFault('busy', `the log took a batch for ${verdict}`);
  return log.results;
}

/** Appends what the log's batch holds; throws `StoreFault`. */
export function append(log: LogWriter): BatchVerdict {
  const verdict = log.append();
  if (verdict instanceof LogFault) {
    log.discard();
    throw faultOfLog(verdict);
  }
  if (verdict === BATCH_FENCED) throw new StoreFault('fenced', `epoch ${log.epoch} has passed`);
  return verdict;
}

export function faultOfLog({ reason, detail }: LogFault): StoreFault {
  return new StoreFault(reason, detail);
}

/** An expected failure in the store's words; any other error is thrown on. */
export function faultOfLogOrIndex(error: unknown, log: LogWriter | undefined): StoreFault {
  const fault = indexFaultOf(error);
  const isUnread = fault.reason === 'busy' && log?.isUnread === true;
  return isUnread ? new StoreFault('unanswered', fault.detail) : fault;
}

export function throwFault(fault: LogFault | undefined): void {
  if (fault !== undefined) throw faultOfLog(fault);
}
