/**
 * What the log's order need not remember any more: the names of instances that are gone, so that those who
 * look at all instances do not look at every one that ever was, and estates that were in doubt.
 */
import { SETTLED } from '../../domain/payment.ts';
import type { IndexedPayment } from './index/statements.ts';
import type { Order } from './shared-log/order.ts';
import type { OrderedMember, OrderedMembers } from './shared-log/ordered-members.ts';
import * as row from './shared-log/tail-table.ts';

/** A name is kept for so long after its last beat: what it counted is still of interest. */
const KEPT_MS = 24 * 60 * 60 * 1000;
/** In one batch. */
const NAMES_MAX = 64;

/** Those that are dead for long and own nothing. */
export function goneMembers(members: OrderedMembers, nowMs: number): OrderedMember[] {
  return [...members.all]
    .filter(({ isAlive, beatAtMs }) => !isAlive && nowMs - beatAtMs >= KEPT_MS)
    .filter(({ epoch }) => !members.hasEstate(epoch))
    .slice(0, NAMES_MAX);
}

/**
 * Whether no payment that a dead epoch accepted is unsettled: `indexed` are those that an index knows which
 * has the log up to `position`. False also where that cannot be told yet, and while the index has yet to take
 * a payment whose acceptance is damaged: it takes one from an estate in doubt only.
 */
export function isEstateEmpty(
  { tail, keptFrom }: Order,
  origin: number,
  indexed: readonly IndexedPayment[],
  position: number,
): boolean {
  if (indexed.length > 0 || keptFrom > position) return false;
  for (let start = 0; start < tail.count * row.ROW_COLUMNS; start += row.ROW_COLUMNS) {
    if (tail.rows[start + row.ROW_ORIGIN] !== origin) continue;
    const isIndexed = tail.rows[start + row.ROW_SEQ] !== 0 || tail.rows[start + row.ROW_POSITION]! < position;
    if (tail.rows[start + row.ROW_STATE]! < SETTLED || !isIndexed) return false;
  }
  return true;
}
