/** A payment as the log and its index have it, in the words of the port. */
import type { Cents } from '../../domain/money.ts';
import {
  type Hold,
  NOT_HELD,
  type ProcessorIndex,
  type State,
  type StoredPayment,
  writeIdBytes,
} from '../../domain/payment.ts';
import { certain } from './shared-log/row-changes.ts';
import * as row from './shared-log/tail-table.ts';

/** `reason`: why it was closed, if it was. */
export function storedPayment(found: Float64Array, reason = ''): StoredPayment {
  const id = new Uint8Array(16);
  writeIdBytes(found, row.ROW_ID, id, 0);
  const processor = found[row.ROW_PROCESSOR]!;
  const held = found[row.ROW_HELD] as Hold;
  const isHeld = held !== NOT_HELD;
  return {
    seq: found[row.ROW_SEQ]!,
    id,
    cents: found[row.ROW_CENTS] as Cents,
    acceptedAtMs: found[row.ROW_ACCEPTED_AT]!,
    origin: found[row.ROW_ORIGIN]!,
    state: certain(found[row.ROW_STATE]!) as State,
    isUncertain: found[row.ROW_STATE]! < 0,
    processor: processor < 0 ? undefined : (processor as ProcessorIndex),
    requestedAtMs: found[row.ROW_REQUESTED_AT]!,
    attempts: found[row.ROW_ATTEMPTS]!,
    tries: found[row.ROW_TRIES]!,
    settledAtMs: isHeld ? 0 : found[row.ROW_SETTLED_AT]!,
    held,
    retryAtMs: isHeld ? found[row.ROW_SETTLED_AT]! : 0,
    reason,
  };
}
