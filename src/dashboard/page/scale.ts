/** What a chart is computed with, in the dashboard and in the benchmarks' report: scales, marks and paths. */

export type Scale = (value: number) => number;

export function linear(from: number, to: number, start: number, end: number): Scale {
  const width = to - from || 1;
  return value => start + ((value - from) / width) * (end - start);
}

/** For what varies by orders of magnitude. Values at or below zero sit at the start. */
export function logarithmic(from: number, to: number, start: number, end: number): Scale {
  const scale = linear(Math.log10(from), Math.log10(to), start, end);
  return value => scale(Math.log10(Math.max(value, from)));
}

/** About five round numbers from zero to at least `max`. */
export function ticks(max: number): number[] {
  const rough = Math.max(max, Number.MIN_VALUE) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(candidate => candidate >= rough)!;
  return Array.from({ length: Math.ceil(max / step - 1e-9) + 1 }, (_, at) => at * step);
}

/** The powers of ten around all values. */
export function decades(values: readonly number[]): number[] {
  const positive = values.filter(value => value > 0 && Number.isFinite(value));
  if (positive.length === 0) return [0.1, 1];
  const first = Math.floor(Math.log10(Math.min(...positive)));
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...positive))));
  return Array.from({ length: last - first + 1 }, (_, at) => 10 ** (first + at));
}

export type Place = readonly [x: number, y: number];

/** To a tenth of a pixel. */
export const round = (value: number): number => Math.round(value * 10) / 10;

/** The `d` of a path that is a line through some places. */
export const pathData = (places: readonly Place[]): string =>
  places.map(([x, y], at) => `${at === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`).join('');
