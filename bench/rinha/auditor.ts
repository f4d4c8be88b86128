/** Asks soquete and both processors for their books, and sets the processors' stages. */
import { PROCESSORS, type Processor } from '../../src/domain/payment.ts';
import {
  AdminClient,
  type BooksWindow,
  type ProcessorSum,
  windowQuery,
} from '../../src/processor-simulator/admin-client.ts';
import type { Stage } from './stages.ts';

export interface Endpoints {
  /** Where payments go. */
  readonly url: string;
  readonly processors: Readonly<Record<Processor, string>>;
}

export interface BookTotal {
  readonly requests: number;
  readonly cents: number;
}

/** The processors' total has the fees too. */
export interface ProcessorTotal extends BookTotal {
  readonly feeCents: number;
}

export interface ComparedBooks {
  readonly ours: Readonly<Record<Processor, BookTotal>>;
  readonly theirs: Readonly<Record<Processor, ProcessorTotal>>;
}

export class Auditor implements AsyncDisposable {
  readonly #url: string;
  readonly #admins: Readonly<Record<Processor, AdminClient>>;

  constructor({ url, processors }: Endpoints) {
    this.#url = url;
    this.#admins = {
      default: new AdminClient(processors.default),
      fallback: new AdminClient(processors.fallback),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const admin of Object.values(this.#admins)) await admin[Symbol.asyncDispose]();
  }

  /** Forgets what was before. Soquete may refuse to; then what it still holds is left to the windows. */
  async reset(): Promise<void> {
    await fetch(`${this.#url}/purge-payments`, { method: 'POST' });
    for (const admin of Object.values(this.#admins)) {
      await admin.purge();
      await admin.set('delay', { delay: 0 });
      await admin.set('failure', { failure: false });
    }
  }

  async enter(stage: Stage, delayScale: number): Promise<void> {
    await Promise.all(
      PROCESSORS.flatMap(name => [
        this.#admins[name].set('delay', { delay: Math.round(stage.delayMs[name] * delayScale) }),
        this.#admins[name].set('failure', { failure: stage.failing[name] }),
      ]),
    );
  }

  /** All three at once, as an auditor without mercy does. */
  async books(fromMs: number, toMs: number): Promise<ComparedBooks> {
    const window = { fromMs, toMs };
    const [ours, byDefault, byFallback] = await Promise.all([
      this.#ours(window),
      this.#admins.default.summary(window),
      this.#admins.fallback.summary(window),
    ]);
    return { ours, theirs: { default: theirTotal(byDefault), fallback: theirTotal(byFallback) } };
  }

  /** How many payments each processor has recorded. */
  async recorded(): Promise<[number, number]> {
    const { default: byDefault, fallback: byFallback } = this.#admins;
    const [first, second] = await Promise.all([byDefault.summary(), byFallback.summary()]);
    return [first.count, second.count];
  }

  async #ours(window: BooksWindow): Promise<ComparedBooks['ours']> {
    const response = await fetch(`${this.#url}/payments-summary${windowQuery(window)}`);
    // As the challenge counts it: who cannot say what was settled has settled nothing.
    if (!response.ok) return { default: NOTHING, fallback: NOTHING };
    const sums = (await response.json()) as Record<Processor, SoqueteSum>;
    return { default: ourTotal(sums.default), fallback: ourTotal(sums.fallback) };
  }
}

const NOTHING: BookTotal = { requests: 0, cents: 0 };

interface SoqueteSum {
  totalRequests: number;
  totalAmount: number;
}

const ourTotal = ({ totalRequests, totalAmount }: SoqueteSum): BookTotal => ({
  requests: totalRequests,
  cents: Math.round(totalAmount * 100),
});

const theirTotal = ({ count, cents, fee }: ProcessorSum): ProcessorTotal => ({
  requests: count,
  cents: Number(cents),
  feeCents: Number(fee) * 100,
});

/** By how much the books differ, in cents; 0 is what we live for. */
export function disagreementCents({ ours, theirs }: ComparedBooks): number {
  return PROCESSORS.reduce((sum, name) => sum + Math.abs(ours[name].cents - theirs[name].cents), 0);
}
