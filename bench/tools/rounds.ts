/**
 * Measures contenders in interleaved rounds: what disturbs the machine for a while disturbs all of them, and
 * each is compared with the first one of its own round.
 */

import { ChildProcesses } from '../../src/testing/processes.ts';
import type { Benchmark, Column, Measured, Measurements, Results } from '../suite/benchmark.ts';
import { median, spread } from './statistics.ts';
import { number, table } from './table.ts';

export interface RoundPlan {
  readonly rounds: number;
  readonly seconds: number;
  readonly starting?: (round: number, contender: string) => void;
  readonly tell?: (what: string) => void;
  readonly ended?: () => void;
}

export async function measure(benchmark: Benchmark, plan: RoundPlan): Promise<Results> {
  const runs = new Map<string, Measurements[]>(benchmark.contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < plan.rounds; round++) {
    // Every other round goes backwards, so that nobody always follows the same neighbour.
    const { contenders } = benchmark;
    const isBackwards = round % 2 === 1 && !contenders.some(({ isRunWithFirst }) => isRunWithFirst);
    const turns = isBackwards ? contenders.toReversed() : contenders;
    for (const { name, run } of turns) {
      plan.starting?.(round, name);
      await using children = new ChildProcesses();
      const tell = plan.tell ?? (() => undefined);
      runs.get(name)!.push(await run({ number: round, seconds: plan.seconds, children, tell }));
      plan.ended?.();
    }
  }
  const baseline = runs.get(benchmark.contenders[0]!.name)!;
  return Object.fromEntries([...runs].map(([name, rounds]) => [name, summarise(rounds, baseline)]));
}

function summarise(
  rounds: readonly Measurements[],
  baseline: readonly Measurements[],
): Record<string, Measured> {
  return Object.fromEntries(
    Object.keys(rounds[0]!).map(figure => {
      const values = rounds.map(figures => figures[figure] ?? Number.NaN);
      const ratios = values.map((value, round) => value / (baseline[round]![figure] ?? Number.NaN));
      return [figure, { median: median(values), spread: spread(values), ratio: median(ratios), values }];
    }),
  );
}

/**
 * A head and a row for each contender: what is shown of the results, as text. One round has no spread to
 * show.
 */
export function resultsCells(columns: readonly Column[], results: Results): string[][] {
  const hasSpread = Object.values(results).some(figures =>
    Object.values(figures).some(({ values }) => values.length > 1),
  );
  const cells = (column: Column, [value, spread, ratio]: readonly [string, string, string]): string[] => [
    value,
    ...(hasSpread ? [spread] : []),
    ...(column.ratio ? [ratio] : []),
  ];
  const head = columns.flatMap(column => cells(column, [column.title, '±', 'ratio']));
  const rows = Object.entries(results).map(([name, figures]) => [
    name,
    ...columns.flatMap(column => cells(column, textsOf(figures[column.figure]))),
  ]);
  return [['', ...head], ...rows];
}

const textsOf = (measured: Measured | undefined): [string, string, string] =>
  measured === undefined || !Number.isFinite(measured.median)
    ? ['-', '', '']
    : [number(measured.median), `${Math.round(measured.spread * 100)} %`, number(measured.ratio)];

export function resultsTable(columns: readonly Column[], results: Results): string {
  const [head, ...rows] = resultsCells(columns, results);
  return table(head!, rows);
}
