/** What the outcome is worth, and how to say it. */

import { PROCESSORS, type Processor } from '../../src/domain/payment.ts';
import { type Latency, median } from '../tools/statistics.ts';
import { disagreementCents } from './auditor.ts';
import type { ScenarioResult } from './scenario.ts';

/** Each millisecond of p99 below this is worth 2 % more. */
const BONUS_BELOW_MS = 11;
const BONUS_PER_MS = 0.02;
const DISAGREEMENT_FINE = 0.35;

const bonus = (p99Ms: number): number => 1 + Math.max(0, (BONUS_BELOW_MS - p99Ms) * BONUS_PER_MS);

export const inconsistencies = ({ audits, books }: ScenarioResult): number =>
  audits.filter(audit => audit.disagreementCents > 0).length + (disagreementCents(books) > 0 ? 1 : 0);

export const isFlawless = (outcome: ScenarioResult): boolean =>
  outcome.unsettled === 0 && inconsistencies(outcome) === 0;

/** In the currency of the payments: what the processors have, less their fees. */
export function score(outcome: ScenarioResult): number {
  const { theirs } = outcome.closing;
  const net = sum(name => theirs[name].cents - theirs[name].feeCents) / 100;
  const fine = inconsistencies(outcome) > 0 ? DISAGREEMENT_FINE * net : 0;
  return net * bonus(outcome.latency.p99) - fine;
}

/** With everything that was accepted on the cheap processor. */
function bestScoreOf({ accepted, size: { script } }: ScenarioResult, p99Ms: number): number {
  const { cents, fees } = script;
  return ((accepted * cents) / 100) * (1 - fees.default) * bonus(p99Ms);
}

export const bestScore = (outcome: ScenarioResult, p99Ms: number): string => {
  const best = bestScoreOf(outcome, p99Ms);
  return `${money(best)} (${percent(score(outcome) / best)} reached)`;
};

function sum(of: (name: Processor) => number): number {
  return PROCESSORS.reduce((total, name) => total + of(name), 0);
}

export function outcomeLines(outcome: ScenarioResult): string[] {
  const { books, accepted, failed, audits, lag, unsettled, settledAfterMs } = outcome;
  const refused = Object.entries(outcome.refused).map(([status, count]) => `${count} times ${status}`);
  const settled = sum(name => books.ours[name].requests);
  const by = PROCESSORS.map(name => {
    const { requests } = books.ours[name];
    return `${name} ${requests} (${percent(settled === 0 ? 0 : requests / settled)})`;
  });
  const wrong = audits
    .filter(audit => audit.disagreementCents > 0)
    .map(audit => `at ${audit.atSeconds} s by ${money(audit.disagreementCents / 100)}`);
  if (disagreementCents(books) > 0) wrong.push(`at the end by ${money(disagreementCents(books) / 100)}`);
  const later =
    unsettled === 0
      ? `all settled ${Math.round(settledAfterMs)} ms after the last payment`
      : `${unsettled} NOT SETTLED ${Math.round(settledAfterMs)} ms after the last payment`;
  const { quiet, draining, seconds } = drainingP99(outcome);
  const drained = `${(draining / quiet).toFixed(1)} times: ${ms(draining)} of ${ms(quiet)}, in ${seconds} s`;
  return [
    `POST /payments   ${latencyText(outcome.latency)}`,
    ...(seconds > 0 && quiet > 0 ? [`p99 of a second  while a backlog drains ${drained}`] : []),
    `accepted         ${accepted}; no answer ${failed}; other answers ${refused.join(', ') || 'none'}`,
    `settled          ${by.join(', ')}`,
    `lag              ${lag} (${percent(accepted === 0 ? 0 : lag / accepted)}) when the books are closed; ${later}`,
    `inconsistencies  ${inconsistencies(outcome)} in ${audits.length + 1} comparisons${wrong.length > 0 ? `: ${wrong.join('; ')}` : ''}`,
    `score            ${money(score(outcome))}; the best possible at this p99 is ${bestScore(outcome, outcome.latency.p99)}`,
  ];
}

/** A backlog of so many drains while more are settled than come in; without one it is quiet. */
const BACKLOG_MIN = 200;

/** The median p99 of the seconds in which it is quiet, and of those in which a backlog drains. */
export function drainingP99({ timeline }: Pick<ScenarioResult, 'timeline'>): DrainingP99 {
  let waiting = 0;
  const quiet: number[] = [];
  const draining: number[] = [];
  for (const [second, { answered, settled, p99 }] of timeline.entries()) {
    const [before, after] = [timeline[second - 1]?.settled ?? [0, 0], settled];
    const done = after[0] + after[1] - before[0] - before[1];
    const backlog = waiting;
    waiting += answered - done;
    if (answered === 0) continue;
    if (backlog >= BACKLOG_MIN && done > answered) draining.push(p99);
    else if (Math.max(backlog, waiting) < BACKLOG_MIN) quiet.push(p99);
  }
  return { quiet: median(quiet), draining: median(draining), seconds: draining.length };
}

interface DrainingP99 {
  readonly quiet: number;
  readonly draining: number;
  readonly seconds: number;
}

/** One line of a table that compares several: the same figures, in the order of `COMPARED`. */
export function comparedCells(outcome: ScenarioResult): string[] {
  const { latency, closing, accepted, lag } = outcome;
  const settled = sum(name => closing.theirs[name].requests);
  return [
    latency.p50.toFixed(2),
    latency.p99.toFixed(2),
    percent(settled === 0 ? 0 : closing.theirs.default.requests / settled),
    percent(accepted === 0 ? 0 : lag / accepted),
    String(inconsistencies(outcome)),
    money(score(outcome)),
  ];
}

export const COMPARED = ['p50, ms', 'p99, ms', 'on default', 'lag', 'differences', 'score'];

export const floorLines = (floor: Latency): string[] => [`constant answer  ${latencyText(floor)}`];

const latencyText = ({ p50, p95, p99, p999, max }: Latency): string =>
  `p50 ${ms(p50)}  p95 ${ms(p95)}  p99 ${ms(p99)}  p99.9 ${ms(p999)}  max ${ms(max)}`;

const ms = (value: number): string => `${value.toFixed(2)} ms`;
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const money = (value: number): string =>
  value.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
