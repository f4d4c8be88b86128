/** What an operator does by hand, appended to the log. */
import { idWords, SENT, SETTLED } from '../../domain/payment.ts';
import { ACT_KINDS, type Act, type ActResult } from '../acts.ts';
import { StoreFault } from '../ports.ts';
import { append, appendOrThrow } from './appending.ts';
import type { KnownPayments } from './known-payments.ts';
import type { Order } from './shared-log/order.ts';
import { BATCH_STALE, COUNTED } from './shared-log/order-state.ts';
import * as row from './shared-log/tail-table.ts';
import type { LogWriter } from './shared-log/writer.ts';

/** The payment may change under the operator's eyes, as may the index: each time it is looked at again. */
const LOOKS_MAX = 8;

/** Appends an act; throws `StoreFault`, and what the log throws. */
export function appendAct(log: LogWriter, order: Order, known: KnownPayments, act: Act): ActResult {
  const words = idWords(act.id);
  const utf8 = new TextEncoder();
  for (let looks = 0; looks < LOOKS_MAX; looks++) {
    log.poll();
    if (order.members.living(log.epoch) === undefined)
      throw new StoreFault('fenced', `epoch ${log.epoch} has passed`);
    const found = known.find(words, act.id);
    if (found === undefined) return 'no such payment';
    const state = found[row.ROW_STATE]!;
    const isResend = act.kind === 'resend';
    if (state > SETTLED) return 'closed';
    const isOnlyKept = act.kind === 'take-in';
    if (!isOnlyKept && isResend !== (state === SETTLED)) return isResend ? 'not settled' : 'settled';
    const isSettled = act.kind === 'settle';
    if (state === SENT && (isSettled || act.kind === 'close')) return 'on its way';
    const seen = {
      state,
      processor: isSettled ? act.processor! : found[row.ROW_PROCESSOR]!,
      requestedAtMs: isSettled ? act.requestedAtMs : found[row.ROW_REQUESTED_AT]!,
      attempts: found[row.ROW_ATTEMPTS]!,
      tries: found[row.ROW_TRIES]!,
    };
    const [origin, cents] = [found[row.ROW_ORIGIN]!, found[row.ROW_CENTS]!];
    const [who, text] = [utf8.encode(act.who), utf8.encode(act.text)];
    const [kind, held] = [ACT_KINDS.indexOf(act.kind), found[row.ROW_HELD]!];
    log.batch().act(words, 0, origin, seen, kind, cents, act.atMs, who, text, held);
    const verdict = append(log);
    if (verdict === COUNTED && log.results[0] === 1) return 'done';
    if (verdict !== COUNTED && verdict !== BATCH_STALE)
      throw new StoreFault('busy', `the log took an act for ${verdict}`);
  }
  throw new StoreFault('busy', 'the payment changes faster than it can be looked at');
}

/** Has all know the processors' addresses; throws `StoreFault`, and what the log throws. */
export function appendUrls(log: LogWriter, order: Order, urls: readonly string[]): true {
  if (order.members.living(log.epoch) === undefined)
    throw new StoreFault('fenced', `epoch ${log.epoch} has passed`);
  log.batch().urls(new TextEncoder().encode(JSON.stringify(urls)));
  appendOrThrow(log);
  return true;
}
