/** What records make of a row of the tail. */
import {
  CLOSED,
  DEFAULT,
  HELD_URL,
  isOver,
  NOT_HELD,
  PINNED,
  SENT,
  SETTLED,
  WAITING,
} from '../../../domain/payment.ts';
import { ACT_KINDS } from '../../acts.ts';
import * as record from './records.ts';
import { recordDetail } from './records.ts';
import * as row from './tail-table.ts';

/** The state of a row without the uncertainty. */
export const certain = (state: number): number => (state < 0 ? ~state : state);

/** The state that the detail of a record is: below 0 that of an uncertain payment. */
const stateIn = (view: DataView, at: number): number => view.getInt8(at + 3);

/** Makes of an unsettled payment one that both processors are asked for before it leaves. */
export function doubtRow(rows: Float64Array, start: number): void {
  const state = rows[start + row.ROW_STATE]!;
  if (state >= 0 && state < SETTLED) rows[start + row.ROW_STATE] = ~state;
}

const RETRY = ACT_KINDS.indexOf('retry');
const SETTLE_BY_HAND = ACT_KINDS.indexOf('settle');
const RESEND = ACT_KINDS.indexOf('resend');
const HOLD_BY_HAND = ACT_KINDS.indexOf('hold');
const TAKE_IN = ACT_KINDS.indexOf('take-in');

/** Whether an act, at `at`, only makes a held payment due, or has it held. */
function isAboutHold(view: DataView, at: number): boolean {
  const kind = view.getUint8(at + 53);
  return kind === RETRY || kind === HOLD_BY_HAND;
}

/** Whether a record is kept and changes nothing: the payment stays as it was. */
export const isOnlyKept = (kind: number, view: DataView, at: number): boolean =>
  kind === record.ACT && [RESEND, TAKE_IN].includes(view.getUint8(at + 53));

/** Whether a record that counts leaves nothing to be done for its payment. */
export const isLast = (kind: number, view: DataView, at: number): boolean =>
  kind === record.BOOK || (kind === record.ACT && !isAboutHold(view, at));

/** Rule 7: whether a record may change the payment in the row at `start`. */
export function mayChange(
  kind: number,
  view: DataView,
  at: number,
  rows: Float64Array,
  start: number,
): boolean {
  const stored = rows[start + row.ROW_STATE]!;
  const state = certain(stored);
  const detail = recordDetail(view, at);
  if (isOnlyKept(kind, view, at)) return state === SETTLED || view.getUint8(at + 53) === TAKE_IN;
  if (isOver(state)) return false;
  if (kind === record.ACT) return stored === stateIn(view, at) && (stored !== SENT || isAboutHold(view, at));
  const isOnItsWay = state === SENT || state === PINNED;
  const isElsewhere = rows[start + row.ROW_PROCESSOR] !== detail;
  // An uncertain one may have been settled anywhere.
  const isFixed = kind === record.INTEND || (kind === record.BOOK && stored >= 0);
  return !(isOnItsWay && isElsewhere && isFixed);
}

/**
 * What a record that counts says of its payment, put in the row at `start`. `isNew`: the row has no more yet.
 */
export function writeRow(
  kind: number,
  view: DataView,
  at: number,
  rows: Float64Array,
  start: number,
  isNew: boolean,
): void {
  const state = isNew ? WAITING : certain(rows[start + row.ROW_STATE]!);
  const detail = recordDetail(view, at);
  switch (kind) {
    case record.INTEND:
      // On top of one that may be on its way: whatever becomes of this one, that one stays unknown.
      rows[start + row.ROW_STATE] = state === WAITING ? view.getUint8(at + 40) : PINNED;
      rows[start + row.ROW_PROCESSOR] = detail;
      rows[start + row.ROW_REQUESTED_AT] = view.getFloat64(at + 28, true);
      rows[start + row.ROW_ATTEMPTS] = view.getUint16(at + 36, true);
      rows[start + row.ROW_TRIES] = view.getUint16(at + 38, true);
      rows[start + row.ROW_SETTLED_AT] = 0;
      if (isNew) rows[start + row.ROW_HELD] = view.getUint8(at + 41);
      return;
    case record.END_ATTEMPT:
      writeProgress(view, at, rows, start, state === PINNED ? PINNED : detail);
      rows[start + row.ROW_SETTLED_AT] = 0;
      if (isNew) rows[start + row.ROW_HELD] = view.getUint8(at + 54);
      return;
    case record.HOLD:
      // One that is uncertain stays so.
      writeProgress(
        view,
        at,
        rows,
        start,
        state !== PINNED ? stateIn(view, at) : stateIn(view, at) < 0 ? ~PINNED : PINNED,
      );
      rows[start + row.ROW_HELD] = view.getUint8(at + 53);
      rows[start + row.ROW_SETTLED_AT] = view.getFloat64(at + 40, true);
      return;
    case record.BOOK:
      rows[start + row.ROW_STATE] = SETTLED;
      rows[start + row.ROW_PROCESSOR] = detail;
      rows[start + row.ROW_REQUESTED_AT] = view.getFloat64(at + 28, true);
      rows[start + row.ROW_SETTLED_AT] = view.getFloat64(at + 36, true);
      rows[start + row.ROW_CENTS] = view.getFloat64(at + 44, true);
      rows[start + row.ROW_ATTEMPTS] = view.getUint16(at + 52, true);
      rows[start + row.ROW_HELD] = NOT_HELD;
      return;
    default:
      writeAct(view, at, rows, start, isNew);
  }
}

function writeProgress(view: DataView, at: number, rows: Float64Array, start: number, state: number): void {
  rows[start + row.ROW_STATE] = state;
  rows[start + row.ROW_PROCESSOR] = view.getInt8(at + 52);
  rows[start + row.ROW_REQUESTED_AT] = view.getFloat64(at + 28, true);
  rows[start + row.ROW_ATTEMPTS] = view.getUint16(at + 36, true);
  rows[start + row.ROW_TRIES] = view.getUint16(at + 38, true);
}

function writeAct(view: DataView, at: number, rows: Float64Array, start: number, isNew: boolean): void {
  const kind = view.getUint8(at + 53);
  if (isNew || kind === SETTLE_BY_HAND) writeProgress(view, at, rows, start, stateIn(view, at));
  rows[start + row.ROW_SETTLED_AT] = 0;
  if (kind === RETRY) {
    if (isNew) rows[start + row.ROW_HELD] = view.getUint8(at + 54);
    return;
  }
  if (kind === HOLD_BY_HAND) {
    const stored = rows[start + row.ROW_STATE]!;
    // Nobody waits for its end any more.
    if (certain(stored) === SENT) rows[start + row.ROW_STATE] = stored < 0 ? ~PINNED : PINNED;
    rows[start + row.ROW_HELD] = HELD_URL;
    rows[start + row.ROW_SETTLED_AT] = Infinity;
    return;
  }
  rows[start + row.ROW_HELD] = NOT_HELD;
  rows[start + row.ROW_STATE] = kind === SETTLE_BY_HAND ? SETTLED : CLOSED;
  rows[start + row.ROW_CENTS] = view.getFloat64(at + 56, true);
  if (kind === SETTLE_BY_HAND) rows[start + row.ROW_SETTLED_AT] = view.getFloat64(at + 40, true);
}

/**
 * Makes of a payment that waits one that may have been sent already. An uncertain one stays that: it may have
 * been asked for since, and sent.
 */
export function pinRow(rows: Float64Array, start: number): void {
  rows[start + row.ROW_STATE] = rows[start + row.ROW_STATE]! < 0 ? ~PINNED : PINNED;
  rows[start + row.ROW_PROCESSOR] = Math.max(DEFAULT, rows[start + row.ROW_PROCESSOR]!);
  rows[start + row.ROW_REQUESTED_AT] ||= rows[start + row.ROW_ACCEPTED_AT]!;
  rows[start + row.ROW_ATTEMPTS] = Math.max(1, rows[start + row.ROW_ATTEMPTS]!);
}
