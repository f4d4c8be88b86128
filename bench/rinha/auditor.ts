/** Asks soquete and both processors for their books, and sets the processors' stages. */
import { PROCESSORS as PROCESSOR_NAMES, type Processor as ProcessorName } from '../../src/domain/payment.ts';
import type { Stage } from './stages.ts';

export { PROCESSOR_NAMES, type ProcessorName };

export interface Endpoints {
  /** Where payments go. */
  readonly url: string;
  readonly processors: Readonly<Record<ProcessorName, string>>;
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
  readonly ours: Readonly<Record<ProcessorName, BookTotal>>;
  readonly theirs: Readonly<Record<ProcessorName, ProcessorTotal>>;
}

const HEADERS = { 'X-Rinha-Token': '123', 'Content-Type': 'application/json' };

export class Auditor {
  readonly #places: Endpoints;

  constructor(places: Endpoints) {
    this.#places = places;
  }

  /** Forgets what was before. Soquete may refuse to; then what it still holds is left to the windows. */
  async reset(): Promise<void> {
    await fetch(`${this.#places.url}/purge-payments`, { method: 'POST' });
    for (const name of PROCESSOR_NAMES) {
      await this.#admin(name, 'POST', '/admin/purge-payments');
      await this.#configure(name, 'delay', 0);
      await this.#configure(name, 'failure', false);
    }
  }

  async enter(stage: Stage, delayScale: number): Promise<void> {
    await Promise.all(
      PROCESSOR_NAMES.flatMap(name => [
        this.#configure(name, 'delay', Math.round(stage.delayMs[name] * delayScale)),
        this.#configure(name, 'failure', stage.failing[name]),
      ]),
    );
  }

  /** All three at once, as an auditor without mercy does. */
  async books(fromMs: number, toMs: number): Promise<ComparedBooks> {
    const [ours, byDefault, byFallback] = await Promise.all([
      this.#ours(fromMs, toMs),
      this.#theirs('default', fromMs, toMs),
      this.#theirs('fallback', fromMs, toMs),
    ]);
    return { ours, theirs: { default: byDefault, fallback: byFallback } };
  }

  /** How many payments each processor has recorded. */
  async recorded(): Promise<[number, number]> {
    const totals = await Promise.all(
      PROCESSOR_NAMES.map(name => this.#admin(name, 'GET', '/admin/payments-summary')),
    );
    const [byDefault, byFallback] = (await Promise.all(totals.map(total => total.json()))) as ToldTotal[];
    return [byDefault!.totalRequests, byFallback!.totalRequests];
  }

  async #ours(fromMs: number, toMs: number): Promise<ComparedBooks['ours']> {
    const response = await fetch(`${this.#places.url}/payments-summary?${windowQuery(fromMs, toMs)}`);
    if (!response.ok) throw new Error(`GET /payments-summary: ${response.status}`);
    const told = (await response.json()) as Record<ProcessorName, ToldTotal>;
    return { default: totalOf(told.default), fallback: totalOf(told.fallback) };
  }

  async #theirs(name: ProcessorName, fromMs: number, toMs: number): Promise<ProcessorTotal> {
    const path = `/admin/payments-summary?${windowQuery(fromMs, toMs)}`;
    const told = (await (await this.#admin(name, 'GET', path)).json()) as ToldTotal & { totalFee: number };
    return { ...totalOf(told), feeCents: told.totalFee * 100 };
  }

  #configure(name: ProcessorName, what: 'delay' | 'failure', value: number | boolean): Promise<Response> {
    return this.#admin(name, 'PUT', `/admin/configurations/${what}`, JSON.stringify({ [what]: value }));
  }

  async #admin(name: ProcessorName, method: string, path: string, body?: string): Promise<Response> {
    const url = `${this.#places.processors[name]}${path}`;
    const response = await fetch(url, {
      method,
      headers: HEADERS,
      ...(body === undefined ? {} : { body }),
    });
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status}`);
    return response;
  }
}

interface ToldTotal {
  totalRequests: number;
  totalAmount: number;
}

const totalOf = ({ totalRequests, totalAmount }: ToldTotal): BookTotal => ({
  requests: totalRequests,
  cents: Math.round(totalAmount * 100),
});

const windowQuery = (fromMs: number, toMs: number): string =>
  `from=${new Date(fromMs).toISOString()}&to=${new Date(toMs).toISOString()}`;

/** By how much the books differ, in cents; 0 is what we live for. */
export function disagreementCents({ ours, theirs }: ComparedBooks): number {
  return PROCESSOR_NAMES.reduce((sum, name) => sum + Math.abs(ours[name].cents - theirs[name].cents), 0);
}
