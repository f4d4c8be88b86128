/** One page that needs nothing but itself: what was measured last, in pictures and tables. */
import type { ScenarioResult } from '../rinha/scenario.ts';
import { outcomeLines } from '../rinha/score.ts';
import type { Column, Results } from '../suite/benchmark.ts';
import { resultsCells } from '../tools/rounds.ts';
import type { Latency } from '../tools/statistics.ts';
import { bars, percentiles } from './charts.ts';
import { draw, type Picture } from './picture.ts';
import { scenarioCharts } from './scenario-chart.ts';
import { COLOUR_STYLES, escaped } from './svg.ts';

/** What was measured last under a name. */
export interface KeptReport {
  readonly at: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly [what: string]: unknown;
}

type KeptBenchmark = KeptReport & {
  about: string;
  rounds: number;
  seconds: number;
  columns: Column[];
  results: Results;
  notes?: string[];
  pictures?: Picture[];
};
type KeptScenario = KeptReport & ScenarioResult & { about: string; constant?: Latency };

export function page(kept: Readonly<Record<string, KeptReport>>): string {
  // The whole first, then its parts.
  const names = Object.keys(kept).toSorted((a, b) => rank(a) - rank(b));
  const sections = names.map(name =>
    name.startsWith('rinha')
      ? scenario(name, kept[name] as KeptScenario)
      : benchmark(name, kept[name] as KeptBenchmark),
  );
  const links = names.map(name => `<a href="#${name}">${name}</a>`);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>soquete: measurements</title>
<meta name="viewport" content="width=device-width">
<style>${COLOUR_STYLES}${STYLE}</style>
<h1>soquete: measurements</h1>
<p>Bars and dots are medians of interleaved rounds, the thin line across a bar spans the rounds, ± is half of that span, × and
<i>ratio</i> are the median of the rounds’ ratios to the first row. Machines differ: compare the figures with each other.</p>
<nav>${links.join(' ')}</nav>
${sections.join('\n')}
</html>
`;
}

const ORDER = [
  'rinha',
  'rinha-final',
  'sockets',
  'accept',
  'http-ceiling',
  'http-ceiling-proxied',
  'settle',
  'summary',
  'cost',
  'memory',
  'growth',
  'start',
  'faults',
  'spike',
];
const rank = (name: string): number => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1);

function benchmark(name: string, kept: KeptBenchmark): string {
  const { about, rounds, seconds, columns, results, notes = [], pictures = [] } = kept;
  const charts = columns
    .filter(({ bars: isDrawn }, at) => at === 0 || isDrawn)
    .map(column => `${caption(column.title)}${bars(results, column)}`);
  if (Object.values(results).some(figures => figures['p99'] !== undefined)) {
    charts.push(`${caption('latency')}${percentiles(results)}`);
  }
  const count = rounds === 1 ? '1 round' : `${rounds} rounds`;
  return section(name, about, `${count} of ${seconds} s, ${measuredOn(kept)}`, [
    ...pictures.map(picture => `${caption(picture.title)}${draw(picture)}`),
    ...charts,
    grid(resultsCells(columns, results)),
    ...notes.map(note => `<p><small>${escaped(note)}</small></p>`),
  ]);
}

function grid([head = [], ...rows]: string[][]): string {
  const cells = (row: readonly string[], of: 'th' | 'td'): string =>
    `<tr>${row.map(cell => `<${of}>${escaped(cell)}</${of}>`).join('')}</tr>`;
  return `<div class="wide"><table><thead>${cells(head, 'th')}</thead><tbody>${rows.map(row => cells(row, 'td')).join('\n')}</tbody></table></div>`;
}

function scenario(name: string, kept: KeptScenario): string {
  return section(name, kept.about, measuredOn(kept), [
    ...scenarioCharts(kept.timeline, kept.size.script, kept.constant?.p99),
    `<pre>${escaped(outcomeLines(kept).join('\n'))}</pre>`,
  ]);
}

/** On paper a heading stays with what it is about. */
function section(name: string, about: string, how: string, [first, ...rest]: readonly string[]): string {
  const head = `<h2>${name}</h2><p>${escaped(about)}<br><small>${escaped(how)}</small></p>`;
  return `<section id="${name}"><div class="whole">${head}${first ?? ''}</div>${rest.join('\n')}</section>`;
}

const caption = (title: string): string => `<h3>${escaped(title)}</h3>`;

function measuredOn({ at, machine }: KeptReport): string {
  const { cpu, cores, node } = machine;
  return `${at.slice(0, 16).replace('T', ' ')} UTC, ${cores} cores of ${cpu}, Node.js ${node}`;
}

const STYLE = `
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); max-width: 1020px; margin: 2em auto; padding: 0 1em; background: var(--page) }
h2 { margin-top: 2em; border-bottom: 1px solid var(--pale) } h3 { font-size: 1em; margin: 1.4em 0 0.3em } a { color: var(--blue) }
nav a { margin-right: 0.8em } small { color: var(--soft) } pre { font-size: 12px; overflow-x: auto }
.wide { overflow-x: auto } table { border-collapse: collapse; margin: 1em 0; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: 0.15em 0.55em; border-bottom: 1px solid var(--pale); vertical-align: bottom } th { font-weight: 600 } td { white-space: nowrap }
th:first-child, td:first-child { text-align: left; padding-left: 0 }
svg { width: 100%; height: auto; display: block } svg text { font: 12px system-ui, sans-serif; fill: var(--ink) } svg .tick { fill: var(--soft); font-size: 11px }
@media print { @page { margin: 14mm } body { margin: 0; max-width: none; font-size: 11px } nav { display: none } h2, h3 { break-after: avoid }
  .whole, svg, table { break-inside: avoid } table { font-size: 10px } pre { white-space: pre-wrap } * { print-color-adjust: exact } }
`;
