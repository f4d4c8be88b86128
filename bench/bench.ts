/**
 * The benchmarks: in interleaved rounds, as medians with what they vary by, and as ratios.
 *
 *   npm run bench                           all of them
 *   npm run bench -- sockets accept         some
 *   npm run bench -- sockets --rounds 7 --seconds 4
 *   npm run bench -- --help                 what there is
 *
 * The last results of each are kept in bench/results/latest.json, and drawn in report.html beside it.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { flag, option, readCommandLine } from '../src/settings/command-line.ts';
import { decimalNumber, someText, wholeNumber } from '../src/settings/grammar.ts';
import { DEFINITIONS, SCRIPTS } from './suite/all.ts';
import type { Benchmark, Definition, Wishes } from './suite/benchmark.ts';
import { Forecast, type Run } from './tools/forecast.ts';
import { clockText, ProgressLine } from './tools/progress.ts';
import { keep, keepDurations, readDurations, reportFile } from './tools/results-file.ts';
import { measure, resultsTable } from './tools/rounds.ts';

const known = Object.fromEntries([
  ...DEFINITIONS.map(({ name, about }) => [name, about] as const),
  ...Object.entries(SCRIPTS).map(([name, { about }]) => [name, about] as const),
]);
const { values, words } = readCommandLine({
  name: 'bench',
  command: 'npm run bench --',
  about:
    'The benchmarks, all or those named: in interleaved rounds, as medians with what they vary by, and as ratios.',
  options: {
    rounds: option('how many', 'N', wholeNumber(1, 1000), 5),
    seconds: option('for each contender in a round', 'N', decimalNumber(0.1, 86_400), 3),
    large: flag(
      'summary and cost with ten million payments too, histories with a hundred: minutes to prepare',
    ),
    long: flag('growth over ten minutes instead of half of one'),
    keep: option(
      'where the databases of postgres-history stay, so that they are filled once',
      'DIR',
      someText('a folder'),
      undefined,
    ),
    list: flag('says what there is'),
  },
  words: { known, max: Infinity },
  status: 78,
});
const size = { rounds: values.rounds, seconds: values.seconds };
const wishes: Wishes = { small: false, large: values.large, long: values.long, keep: values.keep };
if (values.list) {
  console.log('bench: there is');
  for (const [name, about] of Object.entries(known)) console.log(`  ${name.padEnd(20)} ${about}`);
  process.exit(0);
}
const wanted = words.length > 0 ? words : Object.keys(known);

interface Planned {
  readonly definition: Definition;
  readonly benchmark: Benchmark;
  readonly rounds: number;
  readonly seconds: number;
}

/** What is to be done, in order; a script is known by its name alone. */
const plan: readonly (Planned | string)[] = wanted.map(name => {
  const definition = DEFINITIONS.find(known => known.name === name);
  if (definition === undefined) return name;
  return { definition, benchmark: definition.open(wishes), ...(definition.size?.(wishes) ?? size) };
});
const forecast = new Forecast(plan.flatMap(runsOf), readDurations());
const progress = new ProgressLine();

for (const [at, planned] of plan.entries()) {
  const place = `${at + 1} of ${plan.length}`;
  if (typeof planned === 'string') {
    runScript(planned, place);
    continue;
  }
  try {
    await runBenchmark(planned, place);
  } catch (error) {
    // What one found wrong is no reason to leave the others out.
    console.error(`\n${planned.definition.name}: FAILED`, error);
    forecast.drop(planned.definition.name);
    process.exitCode = 1;
  }
}
console.log(`\nIn pictures: ${reportFile}`);

function runsOf(planned: Planned | string): Run[] {
  if (typeof planned === 'string') {
    return [{ benchmark: planned, contender: '', seconds: SCRIPTS[planned]!.seconds }];
  }
  const { definition, benchmark, rounds, seconds } = planned;
  return Array.from({ length: rounds }, () =>
    benchmark.contenders
      .filter(({ isRunWithFirst }) => !isRunWithFirst)
      .map(({ name }) => ({ benchmark: definition.name, contender: name, seconds })),
  ).flat();
}

async function runBenchmark({ definition, benchmark, rounds, seconds }: Planned, place: string) {
  const { name, about } = definition;
  const { contenders, columns, notes = [], pictures } = benchmark;
  await using _ = benchmark;
  let doing = '';
  const show = (): void => {
    const now = performance.now();
    const [left, inAll] = [forecast.left(now, name), forecast.left(now)].map(clockText);
    const rest = plan.length === 1 ? '' : `, ${inAll} for all`;
    progress.update(`${name} (${place})  about ${left} left${rest}  ${doing}`);
  };
  const ticking = setInterval(show, 1000);
  const results = await measure(benchmark, {
    rounds,
    seconds,
    starting: (round, contender) => {
      forecast.begin(name, contender, performance.now());
      doing = `round ${round + 1} of ${rounds}: ${contender}`;
      show();
    },
    tell: what => {
      doing = `${doing.split(' (')[0]} (${what})`;
      show();
    },
    ended: () => forecast.end(performance.now()),
  }).finally(() => clearInterval(ticking));
  progress.clear();
  console.log(
    `\n${name}: ${about} (${rounds === 1 ? '1 round' : `medians of ${rounds} rounds`} of ${seconds} s)`,
  );
  console.log(resultsTable(columns, results));
  for (const note of notes) console.log(note);
  keep(name, { about, rounds, seconds, columns, results, notes, pictures: pictures?.(results) ?? [] });
  keepDurations(
    name,
    forecast.durationsOf(
      name,
      contenders.map(contender => contender.name),
    ),
  );
}

/** Those that measure one part in a way of their own. */
function runScript(name: string, place: string): void {
  const left = clockText(forecast.left(performance.now(), name));
  console.log(`\n${name} (${place}): ${SCRIPTS[name]!.about}; about ${left}`);
  forecast.begin(name, '', performance.now());
  const script = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const { status } = spawnSync(process.execPath, [script], { stdio: 'inherit' });
  forecast.end(performance.now());
  keepDurations(name, forecast.durationsOf(name, ['']));
  if (status !== 0) process.exitCode = status ?? 1;
}
