/** Rows of the tables in the words of the port. */
import type { Cents } from '../../domain/money.ts';
import {
  type Hold,
  idText,
  type ProcessorIndex,
  type State,
  type StoredPayment,
} from '../../domain/payment.ts';
import type { ActKind } from '../acts.ts';
import type { InspectedAct, InspectedAttempt, InspectedPayment } from '../inspection.ts';
import type { ResultRow } from './connection.ts';

const processorOf = (row: ResultRow): ProcessorIndex | undefined => {
  const processor = Number(row['processor']);
  return processor < 0 ? undefined : (processor as ProcessorIndex);
};

export function paymentOf(row: ResultRow): StoredPayment {
  // Of an uncertain one its complement.
  const state = Number(row['state']);
  return {
    seq: Number(row['seq']),
    id: Uint8Array.fromHex(String(row['id']).replaceAll('-', '')),
    cents: Number(row['cents']) as Cents,
    acceptedAtMs: Number(row['accepted_at']),
    origin: Number(row['origin']),
    state: (state < 0 ? ~state : state) as State,
    processor: processorOf(row),
    requestedAtMs: Number(row['requested_at']),
    attempts: Number(row['attempts']),
    tries: Number(row['tries']),
    settledAtMs: Number(row['settled_at']),
    held: Number(row['held']) as Hold,
    retryAtMs: Number(row['retry_at']),
    reason: String(row['reason']),
    isUncertain: state < 0,
  };
}

export function inspected(row: ResultRow): InspectedPayment {
  const { id, seq: _, origin: __, reason: ___, ...payment } = paymentOf(row);
  return { ...payment, correlationId: idText(id), owner: String(row['owner_name']) };
}

export function inspectedAttempt(row: ResultRow): InspectedAttempt {
  return {
    number: Number(row['number']),
    processor: Number(row['processor']) as ProcessorIndex,
    requestedAtMs: Number(row['requested_at']),
    endedAtMs: Number(row['ended_at']),
    durationMs: Number(row['duration_ms']),
    outcome: Number(row['outcome']),
  };
}

export const inspectedAct = (row: ResultRow): InspectedAct => ({
  kind: String(row['kind']) as ActKind,
  atMs: Number(row['at']),
  who: String(row['who']),
  text: String(row['text']),
});
