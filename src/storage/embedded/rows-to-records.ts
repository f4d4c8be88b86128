/** Rows of a batch of the port as records of the log, and what became of them back again. */
import assert from 'node:assert/strict';
import { WAITING } from '../../domain/payment.ts';
import * as column from '../batch.ts';
import { ATTEMPT, type Batch, COLUMNS, INSERT, MARK, PUT_ON_HOLD } from '../batch.ts';
import { DONE, KNOWN, OTHER_AMOUNT } from '../ports.ts';
import type { KnownPayments } from './known-payments.ts';
import { ANOTHER_AMOUNT, SAME_AMOUNT } from './shared-log/order-state.ts';
import type { BatchEncoder } from './shared-log/records.ts';

/**
 * Puts the rows of `batch` in the log's batch; returns where the record of each is, -1: its result is known.
 */
export function encodeRows(
  encoder: BatchEncoder,
  batch: Batch,
  results: Float64Array,
  known: KnownPayments,
): Int32Array {
  const { rows, count } = batch;
  const places = new Int32Array(count).fill(-1);
  for (let index = 0; index < count; index++) {
    const at = index * COLUMNS;
    const processor = rows[at + column.PROCESSOR]!;
    const requestedAtMs = rows[at + column.REQUESTED_AT]!;
    const attempts = rows[at + column.ATTEMPTS]!;
    const tries = rows[at + column.TRIES]!;
    const origin = rows[at + column.ORIGIN]!;
    const words = at + column.ID;
    if (rows[at + column.KIND] === INSERT) {
      const knownCents = known.cents(rows, words);
      if (knownCents !== undefined) {
        results[index] = knownCents === rows[at + column.CENTS] ? KNOWN : OTHER_AMOUNT;
        continue;
      }
      places[index] = encoder.count;
      encoder.accept(rows, words, origin, rows[at + column.CENTS]!, rows[at + column.ACCEPTED_AT]!);
      const state = rows[at + column.STATE]!;
      if (state !== WAITING)
        encoder.intend(rows, words, origin, state, processor, requestedAtMs, attempts, tries);
      continue;
    }
    if (!known.isUnsettled(rows, words)) {
      results[index] = KNOWN;
      continue;
    }
    places[index] = encoder.count;
    const held = rows[at + column.HELD]!;
    const progress = { state: rows[at + column.NEXT]!, processor, requestedAtMs, attempts, tries };
    if (rows[at + column.KIND] === MARK) {
      const state = rows[at + column.STATE]!;
      encoder.intend(rows, words, origin, state, processor, requestedAtMs, attempts, tries, held);
    } else if (rows[at + column.KIND] === ATTEMPT) {
      const [outcome, durationMs] = [rows[at + column.STATE]!, rows[at + column.CENTS]!];
      const endedAtMs = rows[at + column.ACCEPTED_AT]!;
      encoder.endAttempt(rows, words, origin, progress, outcome, durationMs, endedAtMs, held);
    } else if (rows[at + column.KIND] === PUT_ON_HOLD) {
      encoder.hold(rows, words, origin, progress, held, rows[at + column.SETTLED_AT]!);
    } else {
      const settledAtMs = rows[at + column.SETTLED_AT]!;
      const cents = rows[at + column.CENTS]!;
      encoder.book(rows, words, origin, processor, requestedAtMs, settledAtMs, cents, attempts);
    }
  }
  return places;
}

/** Puts in `results` what the log decided on the records that `encodeRows` placed. */
export function decodeResults(
  { rows, count }: Batch,
  places: Int32Array,
  decided: Float64Array,
  results: Float64Array,
): void {
  for (let index = 0; index < count; index++) {
    if (places[index]! < 0) continue;
    const result = decided[places[index]!]!;
    const isNew = rows[index * COLUMNS + column.KIND] === INSERT;
    results[index] = isNew ? acceptanceOf(result) : result === 1 ? DONE : KNOWN;
  }
}

/** What became of an acceptance, in the words of the port. */
function acceptanceOf(result: number): number {
  if (result > 0) return result;
  assert(result === SAME_AMOUNT || result === ANOTHER_AMOUNT, 'an acceptance did not count');
  return result === SAME_AMOUNT ? KNOWN : OTHER_AMOUNT;
}
