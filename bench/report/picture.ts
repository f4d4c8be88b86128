/**
 * A chart of lines over two axes, said as plain values, so that it can be kept beside the figures that it
 * shows.
 */
import { decades, linear, logarithmic, type Scale, ticks } from '../../src/dashboard/page/scale.ts';
import { COLOURS, dot, line, PALE, path, SOFT, svg, svgText } from './svg.ts';

export interface Axis {
  readonly title: string;
  /**
   * Of powers of ten, for what varies by orders of magnitude; in equal steps from 0 where it is not given.
   */
  readonly logarithmic?: true;
}

export interface ChartLine {
  readonly title: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Picture {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly ChartLine[];
}

const WIDTH = 900;
const HEIGHT = 250;
const LEFT = 66;
const RIGHT = 210;
const TOP = 14;
const BOTTOM = 42;
/** More points than this are a line; fewer are measurements, each of which is marked. */
const DOTS_MAX = 12;

export function draw({ title, x, y, lines }: Picture): string {
  const points = lines.flatMap(({ points }) => points.filter(isDrawn));
  const across = axis(
    x,
    points.map(([at]) => at),
    LEFT,
    WIDTH - RIGHT,
  );
  const up = axis(
    y,
    points.map(([, at]) => at),
    HEIGHT - BOTTOM,
    TOP,
  );
  const grid = [
    ...up.marks.flatMap(mark => [
      line(LEFT, up.scale(mark), WIDTH - RIGHT, up.scale(mark), PALE),
      svgText(LEFT - 6, up.scale(mark) + 4, label(mark), 'class="tick" text-anchor="end"'),
    ]),
    ...across.marks.flatMap(mark => [
      line(across.scale(mark), HEIGHT - BOTTOM, across.scale(mark), HEIGHT - BOTTOM + 4, SOFT),
      svgText(across.scale(mark), HEIGHT - BOTTOM + 16, label(mark), 'class="tick" text-anchor="middle"'),
    ]),
    svgText((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x.title, 'class="tick" text-anchor="middle"'),
    svgText(14, (TOP + HEIGHT - BOTTOM) / 2, y.title, upright(14, (TOP + HEIGHT - BOTTOM) / 2)),
  ];
  const drawn = lines.flatMap(({ title, points }, at) => {
    const placed = points.filter(isDrawn).map(([px, py]) => [across.scale(px), up.scale(py)] as const);
    const colour = COLOURS[at % COLOURS.length]!;
    const legendY = TOP + 8 + at * 18;
    return [
      path(placed, colour),
      ...(placed.length <= DOTS_MAX ? placed.map(([px, py]) => dot(px, py, colour)) : []),
      line(WIDTH - RIGHT + 14, legendY, WIDTH - RIGHT + 32, legendY, colour, 3),
      svgText(WIDTH - RIGHT + 38, legendY + 4, title),
    ];
  });
  return svg(WIDTH, Math.max(HEIGHT, TOP + 20 + lines.length * 18), title, [...grid, ...drawn]);
}

const isDrawn = ([x, y]: readonly [number, number]): boolean => Number.isFinite(x) && Number.isFinite(y);

function axis(
  { logarithmic: isLogarithmic }: Axis,
  values: readonly number[],
  start: number,
  end: number,
): { marks: number[]; scale: Scale } {
  if (isLogarithmic) {
    const marks = decades(values);
    return { marks, scale: logarithmic(marks[0]!, marks.at(-1)!, start, end) };
  }
  const marks = ticks(Math.max(0, ...values));
  return { marks, scale: linear(0, marks.at(-1)!, start, end) };
}

const upright = (x: number, y: number): string =>
  `class="tick" text-anchor="middle" transform="rotate(-90 ${x} ${y})"`;

/** 1,000,000 as `1 M`: whole thousands and millions are written with their letter. */
function label(value: number): string {
  if (value >= 1e6 && value % 1e5 === 0) return `${value / 1e6} M`;
  return value.toLocaleString('en-US', { maximumSignificantDigits: 6 });
}
