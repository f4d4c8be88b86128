/** The two charts of a benchmark: how much, as bars, and how long, as dots on a logarithmic scale. */

import { decades, linear, logarithmic, ticks } from '../../src/dashboard/page/scale.ts';
import type { Column, Results } from '../suite/benchmark.ts';
import { number } from '../tools/table.ts';
import { box, COLOURS, dot, INK, line, MUTED, PALE, svg, svgText } from './svg.ts';

const WIDTH = 900;
const LABELS = 290;
const RIGHT = 130;
const ROW = 26;
const TOP = 26;

/**
 * A bar for each contender, with the range of its rounds and, where that says something, its ratio to the
 * first.
 */
export function bars(results: Results, { figure, title, ratio: isCompared }: Column): string {
  const rows = Object.entries(results).flatMap(([name, figures]) => {
    const measured = figures[figure];
    return measured === undefined || !Number.isFinite(measured.median) ? [] : [{ name, ...measured }];
  });
  const marks = ticks(Math.max(...rows.map(({ values }) => Math.max(...values))));
  const x = linear(0, marks.at(-1)!, LABELS, WIDTH - RIGHT);
  const height = TOP + rows.length * ROW + 6;
  const grid = marks.flatMap(mark => [
    line(x(mark), TOP - 4, x(mark), height - 4, PALE),
    svgText(x(mark), 14, mark.toLocaleString('en-US'), 'class="tick" text-anchor="middle"'),
  ]);
  const drawn = rows.flatMap(({ name, median, ratio, values }, at) => {
    const y = TOP + at * ROW;
    const colour = /ceiling/.test(name) ? MUTED : COLOURS[0]!;
    const middle = y + ROW / 2 - 2;
    return [
      svgText(LABELS - 8, middle + 4, name, 'text-anchor="end"'),
      box(LABELS, y + 3, x(median) - LABELS, ROW - 10, colour),
      line(x(Math.min(...values)), middle, x(Math.max(...values)), middle, INK, 1.6),
      svgText(
        WIDTH - RIGHT + 8,
        middle + 4,
        isCompared ? `${number(median)}  ×${number(ratio)}` : number(median),
      ),
    ];
  });
  return svg(WIDTH, height, title, [...grid, ...drawn]);
}

const PERCENTILES = [
  { figure: 'p50', title: 'p50' },
  { figure: 'p99', title: 'p99' },
  { figure: 'p999', title: 'p99.9' },
  { figure: 'max', title: 'max' },
] as const;

/** The percentiles of each contender, medians of its rounds. */
export function percentiles(results: Results): string {
  const rows = Object.entries(results).filter(([, figures]) => figures['p99'] !== undefined);
  const values = rows.flatMap(([, figures]) => PERCENTILES.map(({ figure }) => figures[figure]?.median ?? 0));
  const marks = decades(values);
  const x = logarithmic(marks[0]!, marks.at(-1)!, LABELS, WIDTH - RIGHT);
  const height = TOP + rows.length * ROW + 6;
  const grid = marks.flatMap(mark => [
    line(x(mark), TOP - 4, x(mark), height - 4, PALE),
    svgText(x(mark), 14, `${mark} ms`, 'class="tick" text-anchor="middle"'),
  ]);
  const legend = PERCENTILES.flatMap(({ title }, at) => [
    dot(WIDTH - RIGHT + 16, TOP + 10 + at * 18, COLOURS[at]!),
    svgText(WIDTH - RIGHT + 28, TOP + 14 + at * 18, title),
  ]);
  const drawn = rows.flatMap(([name, figures], row) => {
    const y = TOP + row * ROW + ROW / 2 - 2;
    const found = PERCENTILES.flatMap(({ figure }, at) => {
      const value = figures[figure]?.median;
      return value === undefined ? [] : [{ at: x(value), colour: COLOURS[at]! }];
    });
    return [
      svgText(LABELS - 8, y + 4, name, 'text-anchor="end"'),
      line(found[0]!.at, y, found.at(-1)!.at, y, PALE, 2),
      ...found.map(({ at, colour }) => dot(at, y, colour)),
    ];
  });
  return svg(WIDTH, Math.max(height, TOP + 90), 'latency percentiles', [...grid, ...drawn, ...legend]);
}
