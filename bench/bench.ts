/**
 * The benchmarks: in interleaved rounds, as medians with what they vary by, and as ratios.
 *
 *   npm run bench                           all of them
 *   npm run bench -- sockets accept         some
 *   npm run bench -- --list                 what there is
 *   npm run bench -- sockets --rounds 7 --seconds 4
 *   npm run bench -- summary --large        with ten million payments, which takes minutes to prepare
 *
 * The last results of each are kept in bench/results/latest.json.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DEFINITIONS, SCRIPTS } from './suite/all.ts';
import type { Definition, Wishes } from './suite/benchmark.ts';
import { keep } from './tools/keep.ts';
import { clockText, Progress } from './tools/progress.ts';
import { measure, resultsTable } from './tools/rounds.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    large: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const wishes: Wishes = { small: false, large: values.large };

/** What starting and stopping takes besides measuring, until we know better. */
const OVERHEAD_SECONDS_GUESS = 3;

const scripts = Object.entries(SCRIPTS).filter(([name]) => existsSync(scriptPath(name)));
const known = [...DEFINITIONS.map(({ name }) => name), ...scripts.map(([name]) => name)];
const wanted = positionals.length > 0 ? positionals : known;
const unknown = wanted.filter(name => !known.includes(name));
if (values.list || unknown.length > 0 || !(rounds >= 1) || !(seconds > 0)) {
  const complaint =
    unknown.length > 0 ? `bench: there is no ${unknown.join(', ')}; there is` : 'bench: there is';
  console.log(complaint);
  for (const { name, about } of DEFINITIONS) console.log(`  ${name.padEnd(14)} ${about}`);
  for (const [name, about] of scripts) console.log(`  ${name.padEnd(14)} ${about}`);
  process.exit(values.list ? 0 : 78);
}

for (const name of wanted) {
  const definition = DEFINITIONS.find(known => known.name === name);
  if (definition === undefined) runScript(name);
  else await runDefinition(definition);
}

async function runDefinition({ name, about, open }: Definition): Promise<void> {
  await using benchmark = open(wishes);
  const progress = new Progress();
  const runs = rounds * benchmark.contenders.length;
  const startedAt = performance.now();
  let done = 0;
  const starting = (round: number, contender: string): void => {
    const perRun =
      done === 0 ? seconds + OVERHEAD_SECONDS_GUESS : (performance.now() - startedAt) / 1000 / done;
    const left = clockText(perRun * (runs - done));
    progress.update(`${name}  round ${round + 1} of ${rounds}  about ${left} left  ${contender}`);
  };
  const results = await measure(benchmark, {
    rounds,
    seconds,
    starting,
    ended: () => {
      done += 1;
    },
  });
  progress.clear();
  console.log(`\n${name}: ${about} (medians of ${rounds} rounds of ${seconds} s)`);
  console.log(resultsTable(benchmark.columns, results));
  keep(name, { about, rounds, seconds, columns: benchmark.columns, results });
}

function scriptPath(name: string): string {
  return fileURLToPath(new URL(`${name}.ts`, import.meta.url));
}

/** Those that measure one part in a way of their own. */
function runScript(name: string): void {
  console.log(`\n${name}: ${SCRIPTS[name]}`);
  const { status } = spawnSync(process.execPath, [scriptPath(name)], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = status ?? 1;
}
