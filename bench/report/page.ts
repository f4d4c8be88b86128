/** One page that needs nothing but itself: what was measured last, in pictures and tables. */
import type { Outcome } from '../rinha/scenario.ts';
import { outcomeLines } from '../rinha/score.ts';
import type { Column } from '../suite/benchmark.ts';
import type { Kept } from '../tools/keep.ts';
import { type Results, resultsTable } from '../tools/rounds.ts';
import type { Latency } from '../tools/statistics.ts';
import { bars, percentiles } from './charts.ts';
import { scenarioCharts } from './scenario-chart.ts';
import { escaped } from './svg.ts';

type KeptBenchmark = Kept & {
  about: string;
  rounds: number;
  seconds: number;
  columns: Column[];
  results: Results;
};
type KeptScenario = Kept & Outcome & { about: string; constant?: Latency };

export function page(kept: Readonly<Record<string, Kept>>): string {
  // The whole first, then its parts.
  const names = Object.keys(kept).toSorted((a, b) => rank(a) - rank(b));
  const sections = names.map(name =>
    name === 'rinha' ? scenario(kept[name] as KeptScenario) : benchmark(name, kept[name] as KeptBenchmark),
  );
  const links = names.map(name => `<a href="#${name}">${name}</a>`);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>soquete: measurements</title>
<meta name="viewport" content="width=device-width">
<style>${STYLE}</style>
<h1>soquete: measurements</h1>
<p>Bars and dots are medians of interleaved rounds, the black line across a bar spans the rounds, × is the median of
the rounds' ratios to the first row. Machines differ: compare the figures with each other.</p>
<nav>${links.join(' ')}</nav>
${sections.join('\n')}
</html>
`;
}

const ORDER = [
  'rinha',
  'sockets',
  'accept',
  'settle',
  'summary',
  'start',
  'faults',
  'spike',
  'memory',
  'cost',
];
const rank = (name: string): number => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1);

function benchmark(name: string, kept: KeptBenchmark): string {
  const { about, rounds, seconds, columns, results } = kept;
  const [first] = columns;
  const charts = first === undefined ? [] : [caption(first.title), bars(results, first.figure, first.title)];
  if (Object.values(results).some(figures => figures['p99'] !== undefined)) {
    charts.push(caption('latency'), percentiles(results));
  }
  return section(name, about, `${rounds} rounds of ${seconds} s, ${measuredOn(kept)}`, [
    ...charts,
    `<pre>${escaped(resultsTable(columns, results))}</pre>`,
  ]);
}

function scenario(kept: KeptScenario): string {
  return section('rinha', kept.about, measuredOn(kept), [
    ...scenarioCharts(kept.timeline, kept.constant?.p99),
    `<pre>${escaped(outcomeLines(kept).join('\n'))}</pre>`,
  ]);
}

const section = (name: string, about: string, how: string, content: readonly string[]): string =>
  `<section id="${name}"><h2>${name}</h2><p>${escaped(about)}<br><small>${escaped(how)}</small></p>${content.join('\n')}</section>`;

const caption = (title: string): string => `<h3>${escaped(title)}</h3>`;

function measuredOn({ at, machine }: Kept): string {
  const { cpu, cores, node } = machine;
  return `${at.slice(0, 16).replace('T', ' ')} UTC, ${cores} cores of ${cpu}, Node.js ${node}`;
}

const STYLE = `
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 960px; margin: 2em auto; padding: 0 1em; background: #fff }
h2 { margin-top: 2em; border-bottom: 1px solid #ccc } h3 { font-size: 1em; margin: 1em 0 0.2em }
nav a { margin-right: 0.8em } small { color: #555 } pre { font-size: 12px; overflow-x: auto }
svg { width: 100%; height: auto; display: block } svg text { font: 12px system-ui, sans-serif; fill: #222 } svg .tick { fill: #555; font-size: 11px }
@media print { body { margin: 0; max-width: none } nav { display: none } section { break-inside: avoid } pre { white-space: pre-wrap } }
`;
