/**
 * The counters of one instance: plain numbers, so that counting costs a few additions on the hot path. Read
 * twice a second, when they are published.
 */

import { OUTCOMES, type Outcome } from '../domain/outcome.ts';
import type { ProcessorIndex } from '../domain/payment.ts';
import { type Instrumentation, NO_OBSERVER, type Reports } from '../http/instrumentation.ts';
import { REFUSAL_NAMES } from '../http/refusals.ts';
import { METHODS, OTHER } from '../http/request.ts';
import { ROUTES } from '../http/routes.ts';
import { STATUS_TEXTS } from '../http/status.ts';
import { Histogram, MOMENTS_MS, WHILES_MS } from './histogram.ts';
import type { InstanceSnapshot } from './snapshot.ts';

/** Every status that is ever sent; the table holds its index in this list, 0 for any other status. */
const STATUSES = [0, ...Object.keys(STATUS_TEXTS).map(Number)];
const PLACE_OF_STATUS = new Uint8Array(1000);
for (const [place, status] of STATUSES.entries()) PLACE_OF_STATUS[status] = place;

const snake = (text: string): string =>
  text.replaceAll(' ', '_').replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
const REASON_LABELS = REFUSAL_NAMES.map(snake);
const OUTCOME_LABELS = OUTCOMES.map(snake);
/** The path of each route by the route's number; the method is a label of its own. */
const ROUTE_LABELS = ROUTES.map(route => route.slice(route.indexOf('/') === -1 ? 0 : route.indexOf('/')));

const METHOD_NOT_ALLOWED = 405;

interface Answers {
  readonly method: number;
  readonly route: number;
  readonly status: number;
  readonly took: Histogram;
}

/** The part of a snapshot that `Counters` knows. */
export type Counted = Pick<
  InstanceSnapshot,
  | 'connections'
  | 'answers'
  | 'refusals'
  | 'accepted'
  | 'settled'
  | 'cents'
  | 'settling'
  | 'attempts'
  | 'commits'
>;

export class Counters implements Instrumentation {
  readonly failed: Reports['failed'];
  readonly degraded: Reports['degraded'];
  #connections = 0;
  #accepted = 0;
  readonly #refusals = new Float64Array(REFUSAL_NAMES.length);
  /** By method, route and status: the index in `#answers` plus 1; 0 where there was no such answer yet. */
  readonly #places = new Uint16Array(METHODS.length * ROUTES.length * STATUSES.length);
  readonly #answers: Answers[] = [];
  readonly #settled = new Float64Array(2);
  readonly #cents = new Float64Array(2);
  readonly #attempts = new Float64Array(2 * OUTCOMES.length);
  readonly #settling = new Histogram(WHILES_MS);
  readonly #commits = new Histogram(MOMENTS_MS);

  constructor(reports: Reports = NO_OBSERVER) {
    this.failed = reports.failed;
    this.degraded = reports.degraded;
  }

  opened(): void {
    this.#connections += 1;
  }

  closed(): void {
    this.#connections -= 1;
  }

  answered(method: number, route: number, status: number, durationMs: number): void {
    // Where no route takes the method it is the client's choice: each would add its histogram to /metrics.
    const told = route === 0 || status === METHOD_NOT_ALLOWED ? OTHER : method;
    const place = (told * ROUTES.length + route) * STATUSES.length + PLACE_OF_STATUS[status]!;
    const known = this.#places[place]!;
    if (known === 0)
      this.#add(place, { method: told, route, status, took: new Histogram(MOMENTS_MS) }, durationMs);
    else this.#answers[known - 1]!.took.add(durationMs);
  }

  refused(reason: number): void {
    this.#refusals[reason]! += 1;
  }

  accepted(): void {
    this.#accepted += 1;
  }

  settled(processor: ProcessorIndex, cents: number, waitedMs: number): void {
    this.#settled[processor]! += 1;
    this.#cents[processor]! += cents;
    this.#settling.add(waitedMs);
  }

  attempted(processor: ProcessorIndex, outcome: Outcome): void {
    this.#attempts[processor * OUTCOMES.length + OUTCOMES.indexOf(outcome)]! += 1;
  }

  /** The store took `durationMs` over one batch. */
  committed(durationMs: number): void {
    this.#commits.add(durationMs);
  }

  read(): Counted {
    return {
      connections: this.#connections,
      answers: this.#answers.map(({ method, route, status, took }) => [
        METHODS[method]!,
        ROUTE_LABELS[route]!,
        status,
        took.pack(),
      ]),
      refusals: named(REASON_LABELS, this.#refusals, 0),
      accepted: this.#accepted,
      settled: [this.#settled[0]!, this.#settled[1]!],
      cents: [this.#cents[0]!, this.#cents[1]!],
      settling: this.#settling.pack(),
      attempts: [
        named(OUTCOME_LABELS, this.#attempts, 0),
        named(OUTCOME_LABELS, this.#attempts, OUTCOMES.length),
      ],
      commits: this.#commits.pack(),
    };
  }

  #add(place: number, answers: Answers, durationMs: number): void {
    // Statuses that are not in the table share one place, and are shown as 0.
    const { status } = answers;
    this.#answers.push(PLACE_OF_STATUS[status] === 0 ? { ...answers, status: 0 } : answers);
    this.#places[place] = this.#answers.length;
    answers.took.add(durationMs);
  }
}

/** The values from `start` on that are not zero, by name. */
function named(names: readonly string[], values: Float64Array, start: number): Record<string, number> {
  const result: Record<string, number> = {};
  for (const [at, name] of names.entries()) {
    if (values[start + at]! > 0) result[name] = values[start + at]!;
  }
  return result;
}
