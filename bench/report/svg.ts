/** Drawing by hand: marks as strings of SVG. */
import { type Place, pathData, round } from '../../src/dashboard/page/scale.ts';

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

export const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`);

export function svgText(x: number, y: number, content: string, more = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${escaped(content)}</text>`;
}

export const line = (x1: number, y1: number, x2: number, y2: number, colour: string, width = 1): string =>
  `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" style="stroke:${colour}" stroke-width="${width}"/>`;

export const path = (places: readonly Place[], colour: string): string =>
  `<path d="${pathData(places)}" fill="none" style="stroke:${colour}" stroke-width="1.8" stroke-linejoin="round"/>`;

export const box = (x: number, y: number, width: number, height: number, fill: string): string =>
  `<rect x="${round(x)}" y="${round(y)}" width="${round(Math.max(0, width))}" height="${round(Math.max(0, height))}" style="fill:${fill}"/>`;

export const dot = (x: number, y: number, colour: string): string =>
  `<circle cx="${round(x)}" cy="${round(y)}" r="4.5" style="fill:${colour};stroke:${PAGE}"/>`;

export function svg(width: number, height: number, label: string, content: readonly string[]): string {
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">${content.join('\n')}</svg>`;
}
