/**
 * What a BOOT means: another run of the machine, a disk that was away, a log with holes, an older copy.
 */
import { WAITING } from '../../../domain/payment.ts';
import { CALM_MS } from '../../../domain/settlement.ts';
import { VOID } from './order-state.ts';
import type { OrderedMembers } from './ordered-members.ts';
import { recordDetail } from './records.ts';
import { certain, doubtRow, pinRow } from './row-changes.ts';
import * as row from './tail-table.ts';

/** In the detail of a BOOT: a term begins, whoever lived, and what waits is pinned. */
export const BOOT_PINS = 1;
/**
 * In the detail of a BOOT: a term begins, and what is in front may lack anything. What is unsettled is
 * uncertain, and so is what is accepted before the instant that the record names.
 */
export const BOOT_DOUBTS = 2;

/** An instance beats at most twice a second. */
export const CALM_BEATS = CALM_MS / 500;

/** What of an order a BOOT changes. */
interface BootedOrder {
  boot: number;
  term: number;
  touchedAt: number;
  termAt: number;
  doubtAt: number;
  asksFirstUntilMs: number;
  isCalm: boolean;
  isDamaged: boolean;
  isAstray: boolean;
  readonly members: OrderedMembers;
  readonly tail: row.TailTable;
}

/**
 * A new run of the machine ends all that lived in the last one, and a disk that was away all that used it.
 * Those that did not wait for their disk may have sent what is not in front of this any more, to the
 * processor that their last intent here names, or to default: a change of processor is on the disk before
 * it leaves. So what waits is pinned there. Where more may be missing than the end, what is unsettled is
 * uncertain besides.
 */
export function beginRun(order: BootedOrder, view: DataView, at: number, position: number): number {
  const detail = recordDetail(view, at);
  const boot = view.getUint32(at + 8, true);
  const isForced = detail !== 0;
  if (boot === order.boot && !isForced) return VOID;
  if (isForced && view.getUint32(at + 12, true) !== order.term) return VOID;
  const isFirst = order.boot === 0;
  const alive = [...order.members.alive];
  order.boot = boot;
  for (const member of alive) order.members.end(member);
  if (!isForced && (isFirst || alive.every(({ isFlushing }) => isFlushing))) return 1;
  order.term += 1;
  order.touchedAt = position;
  const isPinning = (detail & BOOT_DOUBTS) === 0 || (detail & BOOT_PINS) !== 0;
  const isDoubting = (detail & BOOT_DOUBTS) !== 0;
  if (isPinning) order.termAt = position;
  if (isDoubting) {
    order.doubtAt = position;
    order.asksFirstUntilMs = Math.max(order.asksFirstUntilMs, view.getFloat64(at + 16, true));
    order.isCalm = false;
    order.isAstray ||= !order.isDamaged;
    order.isDamaged = false;
    order.members.skipEpochs();
  }
  const { rows, count } = order.tail;
  for (let start = 0; start < count * row.ROW_COLUMNS; start += row.ROW_COLUMNS) {
    const before = rows[start + row.ROW_STATE]!;
    if (isPinning && certain(before) === WAITING) pinRow(rows, start);
    if (isDoubting) doubtRow(rows, start);
    if (rows[start + row.ROW_STATE] !== before) rows[start + row.ROW_POSITION] = position;
  }
  return 1;
}
