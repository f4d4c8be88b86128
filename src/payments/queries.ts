/** Questions about payments: from what is at work in this instance, and in the store. */
import type { Cents } from '../domain/money.ts';
import {
  CLOSED,
  HOLD_REASONS,
  idText,
  idWords,
  isOver,
  NOT_HELD,
  PROCESSORS,
  SETTLED,
  type StoredPayment,
  type Summary,
} from '../domain/payment.ts';
import { promised, type Store } from '../storage/ports.ts';
import type { PaymentView } from './api.ts';
import { NONE, type PaymentPool } from './payment-pool.ts';
import type { Session } from './session.ts';

/** One payment by its 16 bytes; undefined when unknown. Throws `Unavailable`. */
export async function findPayment(
  session: Session,
  store: Store,
  id: Uint8Array,
): Promise<PaymentView | undefined> {
  const { pool } = session;
  const words = idWords(id);
  // What is shown as settled has to be so after a crash, too.
  if (isSettled(pool, pool.find(words))) await written(session);
  // Also of what is at work here: another instance may have taken it over while this one was stopped, and
  // settled it.
  const stored = await promised<StoredPayment | undefined>(reply => store.find(id, reply));
  const slot = pool.find(words);
  const isDone = stored !== undefined && isOver(stored.state);
  if (!isDone && slot !== NONE && !isSettled(pool, slot)) return viewOfSlot(pool, slot);
  return stored && viewOfStored(stored);
}

/** Every settlement that any instance had recorded before the call. Throws `Unavailable`. */
export async function summarise(
  session: Session,
  store: Store,
  fromMs: number,
  toMs: number,
): Promise<Summary> {
  await written(session);
  const stored = await promised<Summary>(reply => store.summary(fromMs, toMs, reply));
  const summary = { default: { ...stored.default }, fallback: { ...stored.fallback } };
  // Nobody waits for room on a disk.
  session.worker.addRefused(summary, fromMs, toMs);
  return summary;
}

/** Everything recorded in this instance so far is in the store. */
function written(session: Session): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  session.worker.whenWritten(resolve);
  return promise;
}

const isSettled = (pool: PaymentPool, slot: number): boolean => slot !== NONE && pool.state[slot] === SETTLED;

function viewOfSlot(pool: PaymentPool, slot: number): PaymentView {
  const tried = pool.attempts[slot]! > 0;
  return {
    correlationId: pool.textOf(slot),
    cents: pool.cents[slot]! as Cents,
    status: pool.held[slot] === NOT_HELD ? 'queued' : 'held',
    reason: HOLD_REASONS[pool.held[slot]!] || null,
    processor: tried ? PROCESSORS[pool.processorOf(slot)] : null,
    requestedAtMs: tried ? pool.requestedAtMs[slot]! : null,
    acceptedAtMs: pool.acceptedAtMs[slot]!,
    attempts: pool.attempts[slot]!,
  };
}

function statusOf({ state, held }: StoredPayment): PaymentView['status'] {
  if (state === CLOSED) return 'closed';
  if (state === SETTLED) return 'settled';
  return held === NOT_HELD ? 'queued' : 'held';
}

function viewOfStored(stored: StoredPayment): PaymentView {
  const { processor, requestedAtMs } = stored;
  return {
    correlationId: idText(stored.id),
    cents: stored.cents,
    status: statusOf(stored),
    reason: (stored.state === CLOSED ? stored.reason : HOLD_REASONS[stored.held]) || null,
    processor: processor === undefined ? null : PROCESSORS[processor],
    requestedAtMs: requestedAtMs > 0 ? requestedAtMs : null,
    acceptedAtMs: stored.acceptedAtMs,
    attempts: stored.attempts,
  };
}
