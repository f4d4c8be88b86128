/**
 * The auditor's judgement: do soquete's books and the processors' agree, and if not, over which payments?
 *
 * Sums can agree while two mistakes cancel out, and can differ without saying why; payments one by one tell.
 * Both are plain functions of what the three parties say; who asks them is another file's business.
 */
import { PROCESSORS, type Processor } from '../domain/payment.ts';
import type {
  BooksWindow,
  PaymentsSum,
  ProcessorSum,
  RecordedPayment,
} from '../processor-simulator/admin-client.ts';

export interface ProcessorLine {
  readonly processor: Processor;
  readonly ours: PaymentsSum;
  readonly theirs: ProcessorSum;
  /** Theirs less ours: above 0, the processor knows of more than soquete does. */
  readonly difference: PaymentsSum;
}

export interface SumsAudit {
  readonly lines: readonly ProcessorLine[];
  readonly agree: boolean;
}

const NOTHING: PaymentsSum = { count: 0, cents: 0n };
const plus = (a: PaymentsSum, b: PaymentsSum): PaymentsSum => ({
  count: a.count + b.count,
  cents: a.cents + b.cents,
});
const minus = (a: PaymentsSum, b: PaymentsSum): PaymentsSum => ({
  count: a.count - b.count,
  cents: a.cents - b.cents,
});

/** Compares soquete's summary with the processors' own, of one and the same window. */
export function compareSums(
  ours: Readonly<Record<Processor, PaymentsSum>>,
  theirs: Readonly<Record<Processor, ProcessorSum>>,
): SumsAudit {
  const lines = PROCESSORS.map(processor => ({
    processor,
    ours: ours[processor],
    theirs: theirs[processor],
    difference: minus(theirs[processor], ours[processor]),
  }));
  return {
    lines,
    agree: lines.every(({ difference }) => difference.count === 0 && difference.cents === 0n),
  };
}

/** A payment as soquete's `GET /payments/{id}` shows it. */
export interface Booked {
  readonly cents: bigint;
  readonly status: 'queued' | 'settled' | 'held' | 'closed';
  /** Why it is held or was closed. */
  readonly reason?: string;
  readonly processor: Processor | null;
  readonly requestedAtMs: number | null;
  readonly attempts: number;
}

/** What all three say of one payment; undefined where it is unknown. */
export interface Evidence {
  readonly correlationId: string;
  readonly ours: Booked | undefined;
  readonly theirs: Readonly<Record<Processor, RecordedPayment | undefined>>;
  /** Whether an operator has acted on it. */
  readonly isByHand?: boolean;
}

/** What can be wrong with a payment, worst first. */
export const VERDICTS = [
  'twice',
  'lost',
  'unknown',
  'absent',
  'amount',
  'instant',
  'queued',
  'by hand',
] as const;
export type Discrepancy = (typeof VERDICTS)[number];

export const MEANING: Readonly<Record<Discrepancy, string>> = {
  twice: 'recorded by both processors: settled twice',
  lost: 'booked by soquete, but not recorded by that processor',
  unknown: 'recorded by a processor, unknown to soquete',
  absent: 'was sent, but no one knows of it',
  amount: 'the amounts differ',
  instant: 'the values of requestedAt differ',
  queued: 'recorded by a processor, not yet booked by soquete',
  'by hand': 'other than a processor has it, as an operator decided',
};

/**
 * What is wrong with a payment; undefined when all agree. One that waits and that no processor has is in
 * order.
 */
export function discrepancyOf({ ours, theirs, isByHand = false }: Evidence): Discrepancy | undefined {
  const recorded = theirs.default ?? theirs.fallback;
  if (theirs.default !== undefined && theirs.fallback !== undefined) return 'twice';
  if (ours === undefined) return recorded === undefined ? 'absent' : 'unknown';
  if (ours.status !== 'settled' || ours.processor === null) {
    if (recorded === undefined) return undefined;
    if (ours.status === 'closed') return 'by hand';
    return recorded.cents === ours.cents ? 'queued' : 'amount';
  }
  const record = theirs[ours.processor];
  if (record === undefined) return isByHand ? 'by hand' : 'lost';
  if (record.cents !== ours.cents) return isByHand ? 'by hand' : 'amount';
  if (record.requestedAtMs !== ours.requestedAtMs) return isByHand ? 'by hand' : 'instant';
  return undefined;
}

/** The evidence of one payment in words: who says what. */
export function describe({ ours, theirs }: Evidence): string {
  const parts = PROCESSORS.map(processor => {
    const record = theirs[processor];
    return record === undefined
      ? `${processor}: nothing`
      : `${processor}: ${signedDecimal(record.cents)} at ${instant(record.requestedAtMs)}`;
  });
  return `soquete: ${describeOurs(ours)}; ${parts.join('; ')}`;
}

function describeOurs(ours: Booked | undefined): string {
  if (ours === undefined) return 'nothing';
  const { cents, status, processor, requestedAtMs, attempts, reason } = ours;
  const why = reason === undefined ? '' : ` (${reason})`;
  const where =
    processor === null ? '' : status === 'settled' ? ` on ${processor}` : `, sent to ${processor}`;
  const when = requestedAtMs === null ? '' : ` at ${instant(requestedAtMs)}`;
  return `${signedDecimal(cents)} ${status}${why}${where}${when}, ${attempts} attempt${attempts === 1 ? '' : 's'}`;
}

const instant = (ms: number): string => new Date(ms).toISOString();

/** How many examples of each verdict are kept: enough to see a pattern, whatever the number of payments. */
const EXAMPLES_MAX = 10;

/** Gathers evidence payment by payment; its memory does not grow with their number. */
export class PaymentsAudit {
  examined = 0;
  readonly counts: Record<Discrepancy, number> = Object.assign(
    Object.create(null),
    Object.fromEntries(VERDICTS.map(verdict => [verdict, 0])),
  );
  readonly examples: Record<Discrepancy, Evidence[]> = Object.assign(
    Object.create(null),
    Object.fromEntries(VERDICTS.map(verdict => [verdict, []])),
  );
  /** What the payments found wrong make of difference between the sums, theirs less ours. */
  readonly explained: Record<Processor, PaymentsSum> = { default: NOTHING, fallback: NOTHING };
  readonly #window: BooksWindow;

  readonly #examplesMax: number;

  constructor(window: BooksWindow, examplesMax = EXAMPLES_MAX) {
    this.#window = window;
    this.#examplesMax = examplesMax;
  }

  /** Whether everything examined was in order, or is as an operator decided. */
  get agree(): boolean {
    return VERDICTS.every(verdict => verdict === 'by hand' || this.counts[verdict] === 0);
  }

  /** Takes one payment into account; what is wrong with it, or undefined. Each payment must come once. */
  examine(evidence: Evidence): Discrepancy | undefined {
    this.examined += 1;
    const verdict = discrepancyOf(evidence);
    if (verdict === undefined || !this.#touchesWindow(evidence)) return undefined;
    this.counts[verdict] += 1;
    if (this.examples[verdict].length < this.#examplesMax) this.examples[verdict].push(evidence);
    for (const processor of PROCESSORS) {
      this.explained[processor] = plus(this.explained[processor], this.#effect(evidence, processor));
    }
    return verdict;
  }

  #touchesWindow({ ours, theirs }: Evidence): boolean {
    const instants = [ours?.requestedAtMs, theirs.default?.requestedAtMs, theirs.fallback?.requestedAtMs];
    const known = instants.filter(ms => ms !== undefined && ms !== null);
    return known.length === 0 || known.some(ms => this.#includes(ms));
  }

  #effect({ ours, theirs }: Evidence, processor: Processor): PaymentsSum {
    const record = theirs[processor];
    const recorded = record !== undefined && this.#includes(record.requestedAtMs);
    const booked = ours?.status === 'settled' && ours.processor === processor;
    return minus(
      recorded ? { count: 1, cents: record.cents } : NOTHING,
      booked && this.#includes(ours.requestedAtMs ?? Number.NaN) ? { count: 1, cents: ours.cents } : NOTHING,
    );
  }

  #includes(ms: number): boolean {
    return ms >= this.#window.fromMs && ms <= this.#window.toMs;
  }
}

/** What of the sums' difference the payments found wrong do not explain. */
export const unexplained = (line: ProcessorLine, payments: PaymentsAudit): PaymentsSum =>
  minus(line.difference, payments.explained[line.processor]);

/** Cents of any sign as a decimal number. */
export function signedDecimal(cents: bigint): string {
  const digits = (cents < 0n ? -cents : cents).toString().padStart(3, '0');
  return `${cents < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
