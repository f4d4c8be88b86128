/**
 * How a payment stands in Redis: a packed record under its 16 bytes, numbers in big-endian order.
 *
 *      0  seq         6        15  acceptedAt   6        unsettled              over
 *      6  owner       2        21  origin       4        35  tries      4       35  settledAt  6
 *      8  state       1        25  requestedAt  6        39  held       1       41  reason     any
 *      9  processor   1        31  attempts     4        40  retryAt    8
 *     10  cents       5                                  (48 bytes)             (41 bytes)
 *
 * The processor is one more than its index, 0 for none; a state with 128 added is uncertain.
 */
import type { Cents } from '../../domain/money.ts';
import {
  type Hold,
  idText,
  isOver,
  NOT_HELD,
  type ProcessorIndex,
  type State,
  type StoredPayment,
} from '../../domain/payment.ts';
import type { InspectedAttempt, InspectedPayment } from '../inspection.ts';

const UNCERTAIN = 128;

export interface OwnedPayment extends StoredPayment {
  /** The number of the instance that has it. */
  readonly ownerNumber: number;
}

export function readRecord(id: Uint8Array, record: Buffer): OwnedPayment {
  const marked = record.readUInt8(8);
  const state = (marked % UNCERTAIN) as State;
  const processor = record.readUInt8(9);
  const over = isOver(state);
  return {
    seq: record.readUIntBE(0, 6),
    ownerNumber: record.readUInt16BE(6),
    id: Uint8Array.from(id),
    cents: record.readUIntBE(10, 5) as Cents,
    acceptedAtMs: record.readUIntBE(15, 6),
    origin: record.readUInt32BE(21),
    state,
    processor: processor === 0 ? undefined : ((processor - 1) as ProcessorIndex),
    requestedAtMs: record.readUIntBE(25, 6),
    attempts: record.readUInt32BE(31),
    tries: over ? 0 : record.readUInt32BE(35),
    settledAtMs: over ? record.readUIntBE(35, 6) : 0,
    held: over ? NOT_HELD : (record.readUInt8(39) as Hold),
    retryAtMs: over ? 0 : record.readDoubleBE(40),
    reason: over ? record.toString('utf8', 41) : '',
    isUncertain: marked >= UNCERTAIN,
  };
}

/** Without what only the store knows. */
export function storedOf({ ownerNumber: _, ...payment }: OwnedPayment): StoredPayment {
  return payment;
}

export function inspectedOf(owned: OwnedPayment, owners: ReadonlyMap<number, string>): InspectedPayment {
  const { ownerNumber, id, seq: _, origin: __, reason: ___, ...payment } = owned;
  return { ...payment, correlationId: idText(id), owner: owners.get(ownerNumber) ?? '' };
}

export const ATTEMPT_BYTES = 26;

/** Attempts that did not settle their payment, packed one behind the other. */
export function readAttempts(packed: Buffer): InspectedAttempt[] {
  return Array.from({ length: Math.floor(packed.length / ATTEMPT_BYTES) }, (_, at) => {
    const start = at * ATTEMPT_BYTES;
    return {
      number: packed.readUInt32BE(start),
      requestedAtMs: packed.readUIntBE(start + 4, 6),
      endedAtMs: packed.readUIntBE(start + 10, 6),
      durationMs: packed.readDoubleBE(start + 16),
      processor: packed.readUInt8(start + 24) as ProcessorIndex,
      outcome: packed.readUInt8(start + 25),
    };
  }).sort((one, other) => one.endedAtMs - other.endedAtMs || one.number - other.number);
}
