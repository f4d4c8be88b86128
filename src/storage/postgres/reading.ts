/** Questions about payments, in the words of the port. */
import { emptyTotal } from '../../domain/money.ts';
import type { ProcessorIndex, StoredPayment, Summary } from '../../domain/payment.ts';
import { rangesOf } from '../rollups.ts';
import type { Ask, ResultRow } from './connection.ts';
import { paymentOf } from './rows.ts';

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

/** Of all tables and their indexes, in bytes; 0: not known now. */
export async function sizeIn(ask: Ask, schema: string): Promise<number> {
  const text = `SELECT sum(pg_total_relation_size(c.oid))::bigint AS bytes FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = '${schema}'::regnamespace`;
  const [row] = await ask({ text }).catch(() => []);
  return Number(row?.['bytes'] ?? 0);
}

/** An open end is further than any bucket. */
function bound(bucket: number): string {
  if (Number.isFinite(bucket)) return String(bucket);
  return bucket < 0 ? '-9223372036854775808' : '9223372036854775807';
}
