/**
 * What many seeds really met: each kind of fault and each pair of kinds, so that the generator stays honest.
 */
import { createHash } from 'node:crypto';
import { KINDS, type Kind } from './plan.ts';
import type { Report } from './report.ts';

const PAIRS = KINDS.flatMap((one, row) => KINDS.slice(row + 1).map((other): [Kind, Kind] => [one, other]));
/** Of the pairs that were never met, for people. */
const NEVER_SHOWN = 20;

export class Coverage {
  seeds = 0;
  failed: number[] = [];
  virtualMs = 0;
  events = 0;
  settled = 0;
  settledInMsMax = 0;
  /** Seeds that met both kinds, by `row * KINDS.length + column`; on the diagonal those that met the one. */
  readonly #pairs = new Uint32Array(KINDS.length ** 2);
  readonly #reports = createHash('sha256');

  add(report: Report): void {
    const { seed, violations, virtualMs, events, settled, settledInMs, met } = report;
    this.#reports.update(
      JSON.stringify([seed, violations, virtualMs, events, settled, settledInMs, [...met]]),
    );
    this.seeds += 1;
    if (violations.length > 0) this.failed.push(seed);
    this.virtualMs += virtualMs;
    this.events += events;
    this.settled += settled;
    this.settledInMsMax = Math.max(this.settledInMsMax, settledInMs);
    const places = KINDS.flatMap((kind, place) => (met.has(kind) ? [place] : []));
    for (const row of places) for (const column of places) this.#pairs[row * KINDS.length + column]! += 1;
  }

  /** Of all reports, in order: equal for two versions of the code that behave alike. */
  get checksum(): string {
    return this.#reports.copy().digest('hex').slice(0, 16);
  }

  /** Seeds that met a kind, or both of two kinds. */
  met(one: Kind, other: Kind = one): number {
    return this.#pairs[KINDS.indexOf(one) * KINDS.length + KINDS.indexOf(other)]!;
  }

  /** How many pairs of two kinds were met in one world, which were not, and which in the fewest worlds. */
  get pairs(): string {
    const rarestFirst = PAIRS.toSorted((one, other) => this.met(...one) - this.met(...other));
    const never = rarestFirst.filter(pair => this.met(...pair) === 0).map(pair => pair.join('+'));
    const rarest = rarestFirst[never.length];
    const shown = never.slice(0, NEVER_SHOWN);
    if (shown.length < never.length) shown.push(`${never.length - shown.length} others`);
    return [
      `pairs of faults met ${PAIRS.length - never.length} of ${PAIRS.length}`,
      ...(never.length > 0 ? [`never: ${shown.join(', ')}`] : []),
      ...(rarest === undefined ? [] : [`the rarest, ${rarest.join('+')}, in ${this.met(...rarest)} seeds`]),
    ].join('; ');
  }

  /**
   * One line a kind: in how many seeds it struck, then a sign for each pair with the kinds above it and
   * itself: `.` for never, else the digits of the number of seeds that met both.
   */
  table(): string {
    const lines = KINDS.map((kind, row) => {
      const signs = KINDS.slice(0, row + 1).map(other => this.met(kind, other));
      const cells = signs.map(count => (count === 0 ? '.' : String(count).length)).join('');
      return `${kind.padEnd(17)} ${String(this.met(kind)).padStart(6)}  ${cells}`;
    });
    return lines.join('\n');
  }
}
