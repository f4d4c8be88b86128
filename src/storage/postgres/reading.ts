/** Questions about payments, in the words of the port. */
import { emptyTotal } from '../../domain/money.ts';
import { HOLD_REASONS, type ProcessorIndex, type StoredPayment, type Summary } from '../../domain/payment.ts';
import type { HeldCounts, History } from '../inspection.ts';
import { rangesOf } from '../rollups.ts';
import type { ResultRow } from './connection.ts';
import { inspected, inspectedAct, inspectedAttempt, paymentOf } from './rows.ts';

/** Calls a function of `read-functions.ts`. */
export type ReadFunction = (name: string, values: readonly unknown[], types: string) => Promise<ResultRow[]>;

export async function findPaymentIn(read: ReadFunction, id: Uint8Array): Promise<StoredPayment | undefined> {
  const [row] = await read('find_payment', [id.toHex()], 'uuid');
  return row && paymentOf(row);
}

export async function summaryIn(read: ReadFunction, fromMs: number, toMs: number): Promise<Summary> {
  const ranges: [number[], string[], string[]] = [[], [], []];
  rangesOf(fromMs, toMs, (level, from, to) => {
    ranges[0].push(level);
    ranges[1].push(bound(from));
    ranges[2].push(bound(to));
  });
  const values = ranges.map(range => `{${range.join(',')}}`);
  const totals = [emptyTotal(), emptyTotal()] as const;
  for (const { processor, count, high, low } of await read('summary', values, 'int[], bigint[], bigint[]')) {
    const total = totals[processor as ProcessorIndex];
    Object.assign(total, { count: Number(count), high: Number(high), low: Number(low) });
  }
  return { default: totals[0], fallback: totals[1] };
}

export async function historyIn(read: ReadFunction, id: Uint8Array): Promise<History | undefined> {
  const hex = id.toHex();
  const [row] = await read('inspect', [hex], 'uuid');
  if (row === undefined) return undefined;
  const attempts = await read('attempts_of', [hex], 'uuid');
  const acts = await read('acts_of', [hex], 'uuid');
  return { payment: inspected(row), attempts: attempts.map(inspectedAttempt), acts: acts.map(inspectedAct) };
}

export async function heldCountsIn(read: ReadFunction): Promise<HeldCounts> {
  const counts = HOLD_REASONS.map(() => 0);
  for (const { held, count } of await read('held_counts', [], '')) counts[Number(held)] = Number(count);
  return counts;
}

/** An open end is further than any bucket. */
function bound(bucket: number): string {
  if (Number.isFinite(bucket)) return String(bucket);
  return bucket < 0 ? '-9223372036854775808' : '9223372036854775807';
}
