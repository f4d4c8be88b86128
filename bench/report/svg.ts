/** Drawing by hand: scales, ticks and marks as strings of SVG. */

/** Colours are named here and mixed in `COLOUR_STYLES`, once for light and once for dark. */
export const INK = 'var(--ink)';
export const SOFT = 'var(--soft)';
export const PALE = 'var(--pale)';
export const MUTED = 'var(--muted)';
export const BAND = 'var(--band)';
export const PAGE = 'var(--page)';
export const COLOURS = ['blue', 'orange', 'green', 'pink', 'sky', 'grey'].map(name => `var(--${name})`);

/**
 * Okabe and Ito's colours, which tell apart also in grey and for the colour-blind; on dark, lighter. Paper is
 * light.
 */
export const COLOUR_STYLES = `
:root { --page: #fff; --ink: #222; --soft: #5c5c5c; --pale: #d8d8d8; --muted: #9a9a9a; --band: #f3f3f3;
  --blue: #0072b2; --orange: #d55e00; --green: #009e73; --pink: #b8578b; --sky: #56b4e9; --grey: #777 }
@media screen and (prefers-color-scheme: dark) { :root { color-scheme: dark; --page: #16181c; --ink: #e4e6e9; --soft: #a3a8b0; --pale: #3a3f47; --muted: #6d737c; --band: #1f2329;
  --blue: #4fa8e0; --orange: #f08a45; --green: #35c296; --pink: #e39ac2; --sky: #9bd4f5; --grey: #8f959e } }
`;

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

export const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`);

export function svgText(x: number, y: number, content: string, more = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${escaped(content)}</text>`;
}

export const line = (x1: number, y1: number, x2: number, y2: number, colour: string, width = 1): string =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" style="stroke:${colour}" stroke-width="${width}"/>`;

export function path(points: readonly (readonly [number, number])[], colour: string, more = ''): string {
  const d = points.map(([x, y], at) => `${at === 0 ? 'M' : 'L'}${round(x)} ${round(y)}`).join('');
  return `<path d="${d}" fill="none" style="stroke:${colour}" stroke-width="1.8" stroke-linejoin="round" ${more}/>`;
}

export const box = (x: number, y: number, width: number, height: number, fill: string, more = ''): string =>
  `<rect x="${round(x)}" y="${round(y)}" width="${round(Math.max(0, width))}" height="${round(Math.max(0, height))}" style="fill:${fill}" ${more}/>`;

export const dot = (x: number, y: number, colour: string): string =>
  `<circle cx="${round(x)}" cy="${round(y)}" r="4.5" style="fill:${colour};stroke:${PAGE}"/>`;

export function svg(width: number, height: number, label: string, content: readonly string[]): string {
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">${content.join('\n')}</svg>`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
