/** The challenge's scenario over time: latency, what was accepted and settled where, and what waited. */

import { decades, linear, logarithmic, type Scale, ticks } from '../../src/dashboard/page/scale.ts';
import type { Second } from '../rinha/scenario.ts';
import type { Script } from '../rinha/stages.ts';
import { BAND, box, COLOURS, line, PAGE, PALE, path, SOFT, svg, svgText } from './svg.ts';

const WIDTH = 900;
const LEFT = 60;
const RIGHT = 155;
const HEIGHT = 190;
const TOP = 34;
const BOTTOM = 24;

interface Series {
  readonly title: string;
  readonly values: readonly number[];
}

type Stages = Pick<Script, 'stages' | 'seconds'>;

/** Three charts, one above the other, on one axis of time. */
export function scenarioCharts(
  timeline: readonly Second[],
  script: Stages,
  constantP99: number | undefined,
): string[] {
  const perSecond = (processor: 0 | 1): number[] =>
    timeline.map(({ settled }, at) => settled[processor] - (timeline[at - 1]?.settled[processor] ?? 0));
  let waiting = 0;
  const backlog = timeline.map(({ answered }, at) => {
    waiting += answered - perSecond(0)[at]! - perSecond(1)[at]!;
    return Math.max(0, waiting);
  });
  const latency: Series[] = [
    { title: 'p50', values: timeline.map(({ p50 }) => p50) },
    { title: 'p99', values: timeline.map(({ p99 }) => p99) },
    { title: 'max', values: timeline.map(({ max }) => max) },
  ];
  const marks = decades(latency.flatMap(({ values }) => values));
  const y = logarithmic(marks[0]!, marks.at(-1)!, HEIGHT - BOTTOM, TOP);
  const floor =
    constantP99 === undefined
      ? []
      : [
          line(LEFT, y(constantP99), WIDTH - RIGHT, y(constantP99), SOFT, 1.2),
          svgText(WIDTH - RIGHT + 6, y(constantP99) + 4, 'a constant answer’s p99', 'class="tick"'),
        ];
  return [
    chart(script, 'latency, ms', latency, marks, y, floor),
    counted(script, 'payments in each second', [
      { title: 'accepted', values: timeline.map(({ answered }) => answered) },
      { title: 'settled on default', values: perSecond(0) },
      { title: 'settled on fallback', values: perSecond(1) },
    ]),
    counted(script, 'accepted and not yet settled', [{ title: 'waiting', values: backlog }]),
  ];
}

function counted(script: Stages, title: string, series: readonly Series[]): string {
  const marks = ticks(Math.max(...series.flatMap(({ values }) => values)));
  return chart(script, title, series, marks, linear(0, marks.at(-1)!, HEIGHT - BOTTOM, TOP));
}

function chart(
  script: Stages,
  title: string,
  series: readonly Series[],
  marks: readonly number[],
  y: Scale,
  more: readonly string[] = [],
): string {
  const seconds = series[0]!.values.length;
  const x = linear(0, seconds, LEFT, WIDTH - RIGHT);
  const stageAt = (at: number): number =>
    x((script.stages[at]?.atSeconds ?? script.seconds) * (seconds / script.seconds));
  const stages = script.stages.flatMap(({ mark }, at) => [
    box(stageAt(at), TOP, stageAt(at + 1) - stageAt(at), HEIGHT - TOP - BOTTOM, at % 2 === 0 ? BAND : PAGE),
    svgText(stageAt(at) + 2, TOP - 5, mark, 'class="tick"'),
  ]);
  const grid = marks.flatMap(mark => [
    line(LEFT, y(mark), WIDTH - RIGHT, y(mark), PALE),
    svgText(LEFT - 6, y(mark) + 4, mark.toLocaleString('en-US'), 'class="tick" text-anchor="end"'),
  ]);
  const clock = ticks(seconds)
    .filter(second => second <= seconds)
    .map(second => svgText(x(second), HEIGHT - 8, `${second} s`, 'class="tick" text-anchor="middle"'));
  const drawn = series.map(({ values }, at) =>
    path(
      values.flatMap((value, second) =>
        Number.isFinite(value) ? [[x(second + 0.5), y(value)] as const] : [],
      ),
      COLOURS[at]!,
    ),
  );
  const legend = series.flatMap(({ title }, at) => [
    line(WIDTH - RIGHT + 6, TOP + 6 + at * 18, WIDTH - RIGHT + 22, TOP + 6 + at * 18, COLOURS[at]!, 3),
    svgText(WIDTH - RIGHT + 28, TOP + 10 + at * 18, title),
  ]);
  const heading = svgText(LEFT, 12, title, 'font-weight="600"');
  return svg(WIDTH, HEIGHT, title, [...stages, ...grid, ...clock, ...drawn, ...legend, ...more, heading]);
}
