/**
 * An audit of living services: asks soquete and both processors, and lets the auditor judge what they say.
 *
 * The functions ask and return; they print nothing. Memory is bounded whatever the number of payments.
 */
import type { Processor } from '../domain/payment.ts';
import {
  type BooksWindow,
  EVERYTHING,
  type ListedPayment,
  type RecordedPayment,
} from '../processor-simulator/admin-client.ts';
import {
  compareSums,
  discrepancyOf,
  type Evidence,
  PaymentsAudit,
  type SumsAudit,
} from './reconciliation.ts';
import { QUESTIONS_MAX, type Sources } from './sources.ts';

/**
 * Asks all three for their sums over a window, at the same moment. Throws `CannotAsk`. While payments flow,
 * end the window a second or more ago: what is being settled at this moment is in some books and not yet in
 * others.
 */
export async function auditSums(sources: Sources, window: BooksWindow = EVERYTHING): Promise<SumsAudit> {
  const [ours, onDefault, onFallback] = await Promise.all([
    sources.summary(window),
    sources.processorSummary('default', window),
    sources.processorSummary('fallback', window),
  ]);
  return compareSums(ours, { default: onDefault, fallback: onFallback });
}

/**
 * Walks the processors' lists and asks soquete for each payment, then soquete's own list for what it booked
 * and no processor recorded. Undefined where the processors keep no lists. Throws `CannotAsk`.
 */
export async function auditPayments(
  sources: Sources,
  window: BooksWindow = EVERYTHING,
  examplesMax?: number,
): Promise<PaymentsAudit | undefined> {
  const audit = new PaymentsAudit(window, examplesMax);
  // Few are on fallback, so these are examined with everyone's evidence. For one on default, fallback is only
  // asked if something is amiss; if fallback has it too, it was examined already.
  for (const processor of ['fallback', 'default'] as const) {
    for await (const page of sources.pages(processor)) {
      if (page === undefined) return undefined;
      await concurrently(page, async listed => {
        const evidence = await gather(sources, processor, listed);
        if (evidence !== undefined) audit.examine(await withActs(sources, evidence));
      });
    }
  }
  for await (const page of sources.settledPages()) {
    await concurrently(page, async ({ correlationId, processor }) => {
      const [onDefault, onFallback] = await recordedBy(sources, correlationId, processor);
      // Who has a record of it has listed it.
      if (onDefault !== undefined || onFallback !== undefined) return;
      const ours = await sources.booked(correlationId);
      const theirs = { default: undefined, fallback: undefined };
      audit.examine(await withActs(sources, { correlationId, ours, theirs }));
    });
  }
  return audit;
}

/** Both processors' records; the other one is asked only where the one that it is booked on has none. */
async function recordedBy(
  sources: Sources,
  correlationId: string,
  on: Processor,
): Promise<readonly [RecordedPayment | undefined, RecordedPayment | undefined]> {
  const first = await sources.recorded(on, correlationId);
  if (first !== undefined) return [first, undefined];
  return [undefined, await sources.recorded(on === 'default' ? 'fallback' : 'default', correlationId)];
}

/** What differs may be as an operator decided. */
async function withActs(sources: Sources, evidence: Evidence): Promise<Evidence> {
  const verdict = discrepancyOf(evidence);
  if (verdict !== 'amount' && verdict !== 'instant' && verdict !== 'lost') return evidence;
  const acts = await sources.acts(evidence.correlationId);
  // One that was found at an earlier address is not at the present one; any other was lost since.
  const isElsewhere = acts.includes('hold');
  return { ...evidence, isByHand: acts.includes('settle') && (verdict !== 'lost' || isElsewhere) };
}

async function gather(sources: Sources, on: Processor, listed: ListedPayment): Promise<Evidence | undefined> {
  const { correlationId } = listed;
  if (on === 'fallback') {
    const [ours, onDefault] = await Promise.all([
      sources.booked(correlationId),
      sources.recorded('default', correlationId),
    ]);
    return { correlationId, ours, theirs: { default: onDefault, fallback: listed } };
  }
  const ours = await sources.booked(correlationId);
  const evidence = { correlationId, ours, theirs: { default: listed, fallback: undefined } };
  if (discrepancyOf(evidence) === undefined) return evidence;
  return (await sources.recorded('fallback', correlationId)) === undefined ? evidence : undefined;
}

/** Asks all three for each payment of `correlationIds`, which must not repeat. Throws `CannotAsk`. */
export async function auditSent(
  sources: Sources,
  correlationIds: Iterable<string> | AsyncIterable<string>,
  window: BooksWindow = EVERYTHING,
  examplesMax?: number,
): Promise<PaymentsAudit> {
  const audit = new PaymentsAudit(window, examplesMax);
  await concurrently(correlationIds, async correlationId => {
    const [ours, onDefault, onFallback] = await Promise.all([
      sources.booked(correlationId),
      sources.recorded('default', correlationId),
      sources.recorded('fallback', correlationId),
    ]);
    audit.examine(
      await withActs(sources, { correlationId, ours, theirs: { default: onDefault, fallback: onFallback } }),
    );
  });
  return audit;
}

/** Does `work` for each item, at most `QUESTIONS_MAX` at once; the first failure ends it. */
export async function concurrently<T>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let failed = false;
  const lane = async (): Promise<void> => {
    while (!failed) {
      const { done, value } = await iterator.next();
      if (done === true) return;
      await work(value).catch(error => {
        failed = true;
        throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: QUESTIONS_MAX }, lane));
}
