/**
 * A plot of the last five minutes in SVG: lines over a common scale, what the pointer is at, and the figures
 * of now.
 */
import { fill, make } from './dom.ts';
import { linear, type Place, pathData, type Scale } from './scale.ts';

export interface PlotLine {
  readonly name: string;
  /** `accent`, `default`, `fallback`, `pinned` or `muted`. */
  readonly colour: string;
  readonly look?: 'area' | 'thin';
}

export interface PlotOptions {
  readonly title: string;
  readonly lines: readonly PlotLine[];
  /** Values below this make no taller picture. */
  readonly least: number;
  readonly scale: (value: number) => string;
  readonly read: (value: number) => string;
}

/** A point in time with a value for each line. */
export interface Point {
  readonly second: number;
  readonly values: readonly (number | null)[];
}

const SPAN_SECONDS = 300;
const HEIGHT = 170;
const [LEFT, RIGHT, TOP, BOTTOM] = [40, 6, 8, 20];

export class Plot {
  readonly #options: PlotOptions;
  readonly #svg: SVGSVGElement;
  readonly #legend: HTMLElement;
  #points: readonly Point[] = [];
  #nowSecond = 0;
  /** Where the pointer is, as a share of the width; undefined when it is elsewhere. */
  #pointed: number | undefined;

  constructor(figure: HTMLElement, options: PlotOptions) {
    this.#options = options;
    this.#svg = svgElement('svg', { class: 'plot', role: 'img' }) as SVGSVGElement;
    this.#legend = make('div', { class: 'legend' });
    figure.append(make('figcaption', {}, options.title), this.#legend, this.#svg);
    this.#svg.addEventListener('pointermove', event => {
      const { left, width } = this.#svg.getBoundingClientRect();
      this.#pointed = Math.min(1, Math.max(0, (event.clientX - left - LEFT) / (width - LEFT - RIGHT)));
      this.draw();
    });
    this.#svg.addEventListener('pointerleave', () => {
      this.#pointed = undefined;
      this.draw();
    });
  }

  show(points: readonly Point[], nowSecond: number): void {
    this.#points = points;
    this.#nowSecond = nowSecond;
    this.draw();
  }

  draw(): void {
    const width = Math.max(200, this.#svg.clientWidth);
    const { lines, least, scale, read } = this.#options;
    const from = this.#nowSecond - SPAN_SECONDS;
    const points = this.#points.filter(({ second }) => second >= from && second <= this.#nowSecond);
    const highest = points.reduce(
      (so, { values }) => Math.max(so, ...values.map(value => value ?? 0)),
      least,
    );
    const top = niceTop(highest);
    const x = linear(from, this.#nowSecond, LEFT, width - RIGHT);
    const y = linear(0, top, HEIGHT - BOTTOM, TOP);
    const parts: SVGElement[] = [];
    for (const share of [0, 0.5, 1]) {
      const at = y(top * share);
      parts.push(svgElement('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: at, y2: at }));
      parts.push(label(LEFT - 6, at + 4, 'end', scale(top * share)));
    }
    for (const [minutes, anchor] of [
      [5, 'start'],
      [3, 'middle'],
      [1, 'middle'],
    ] as const) {
      parts.push(label(x(this.#nowSecond - minutes * 60), HEIGHT - 4, anchor, `${minutes} min ago`));
    }
    parts.push(label(width - RIGHT, HEIGHT - 4, 'end', 'now'));
    for (const [index, { colour, look = '' }] of lines.entries()) {
      const runs = runsOf(points, index, x, y);
      if (look === 'area') {
        for (const run of runs) {
          const d = `${pathData([...run, [run.at(-1)![0], y(0)], [run[0]![0], y(0)]])}Z`;
          parts.push(svgElement('path', { class: `area c-${colour}`, d }));
        }
      }
      const d = runs.map(pathData).join('');
      if (d !== '')
        parts.push(svgElement('path', { class: `${look === 'thin' ? 'thin ' : ''}c-${colour}`, d }));
    }
    const shown = this.#shown(points, from);
    if (this.#pointed !== undefined && shown !== undefined) {
      const at = x(shown.second);
      parts.push(svgElement('line', { class: 'cursor', x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM }));
    }
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    fill(this.#svg, ...parts);
    const values = lines.map((line, index) => {
      const value = shown?.values[index];
      return [line, value === undefined || value === null ? '–' : read(value)] as const;
    });
    fill(
      this.#legend,
      ...values.map(([{ name, colour }, text]) =>
        make('span', { class: `c-${colour}` }, `${name} `, make('b', {}, text)),
      ),
      this.#pointed !== undefined && shown !== undefined && `${this.#nowSecond - shown.second} s ago`,
    );
    const spoken = values.map(([{ name }, text]) => `${name} ${text}`).join(', ');
    this.#svg.setAttribute('aria-label', `${this.#options.title}: ${spoken}`);
  }

  /** The point that the legend shows: where the pointer is, else the last one. */
  #shown(points: readonly Point[], from: number): Point | undefined {
    if (this.#pointed === undefined) return points.at(-1);
    const wanted = from + this.#pointed * SPAN_SECONDS;
    return points.reduce<Point | undefined>(
      (best, point) =>
        best === undefined || Math.abs(point.second - wanted) < Math.abs(best.second - wanted) ? point : best,
      undefined,
    );
  }
}

/** The places of one line's values, in runs: a new one after more than three seconds without a value. */
function runsOf(points: readonly Point[], index: number, x: Scale, y: Scale): Place[][] {
  const runs: Place[][] = [];
  let lastSecond = -Infinity;
  for (const { second, values } of points) {
    const value = values[index];
    if (value === undefined || value === null) continue;
    if (second - lastSecond > 3) runs.push([]);
    runs.at(-1)!.push([x(second), y(value)]);
    lastSecond = second;
  }
  return runs;
}

/** The next of 1, 2, 4, 5 and 10 times a power of ten. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map(step => step * power).find(step => step >= value * 0.999) ?? value;
}

function label(x: number, y: number, anchor: string, text: string): SVGElement {
  const element = svgElement('text', { x, y, 'text-anchor': anchor });
  element.textContent = text;
  return element;
}

export function svgElement(tag: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
