/**
 * `npm run simulate -- --seeds 10000`: lives through as many worlds, each with faults of its own, and counts
 * broken promises.
 *
 * The first seed that fails is run again with a trace of what concerns the payment that went wrong, and ends
 * the run with status 1. The same seed gives the same run.
 */
import { option, readCommandLine } from '../settings/command-line.ts';
import { wholeNumber } from '../settings/grammar.ts';
import { Coverage } from './coverage.ts';
import { KINDS } from './plan.ts';
import type { Report } from './report.ts';
import { simulate, World } from './world.ts';

function printFailure({ seed, violations, trace }: Report): void {
  console.log(trace.join('\n'));
  for (const { what, id, atMs } of violations) {
    console.log(
      `\nBROKEN at ${(atMs / 1000).toFixed(4)} s: ${id === undefined ? '' : `payment ${id} `}${what}`,
    );
  }
  console.log(`\nAgain: npm run simulate -- --seed ${seed}`);
}

async function one(seed: number): Promise<void> {
  const world = new World(seed, true);
  console.log(`seed ${seed}: ${JSON.stringify(world.plan, (_, value) => (value === 0 ? undefined : value))}`);
  const report = await world.run();
  if (report.violations.length > 0) {
    printFailure(report);
    process.exitCode = 1;
    return;
  }
  console.log(world.trace.tail(undefined, 200).join('\n'));
  console.log(`\n${report.settled} payments settled, no promise broken`);
}

async function many(first: number, count: number): Promise<void> {
  const tally = new Coverage();
  const startedMs = performance.now();
  for (let seed = first; seed < first + count; seed++) {
    const report = await simulate(seed);
    tally.add(report);
    if (report.violations.length === 0) continue;
    printFailure(report);
    process.exitCode = 1;
    break;
  }
  printTally(tally, (performance.now() - startedMs) / 1000);
}

function printTally(tally: Coverage, seconds: number): void {
  const { seeds, failed, virtualMs, events, settled, settledInMsMax, pairs, checksum } = tally;
  console.log(`kind of fault      seeds  met together with (in so many seeds, as digits of the number)`);
  console.log(tally.table());
  console.log(
    [
      '',
      `${seeds} seeds, ${failed.length} failed; ${settled} payments settled, at the latest ${settledInMsMax} ms after the last fault`,
      `${KINDS.length} kinds of fault; ${pairs}`,
      `${(seeds / seconds).toFixed(0)} seeds a second, ${(virtualMs / 1000 / seconds).toFixed(0)} simulated seconds a second, ${(events / seconds / 1000).toFixed(0)},000 events a second`,
      `checksum of the reports: ${checksum}`,
    ].join('\n'),
  );
}

const max = 999_999_999;
const { values } = readCommandLine({
  name: 'simulate',
  command: 'npm run simulate --',
  about: 'Lives through worlds, each with faults of its own, and counts broken promises.',
  options: {
    seeds: option('how many', 'N', wholeNumber(1, max), 1000),
    first: option('the first seed', 'N', wholeNumber(0, max), 1),
    seed: option('this one only, with what happened in it', 'N', wholeNumber(0, max), undefined),
  },
});
if (values.seed !== undefined) await one(values.seed);
else await many(values.first, values.seeds);
