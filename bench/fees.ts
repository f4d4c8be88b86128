/**
 * What waiting for the cheap processor is worth: the challenge's scripts on a virtual clock, with one
 * FALLBACK_AFTER_MS after the other. The figures depend on no machine; docs/fees.md shows them.
 *
 *   node bench/fees.ts [preview | final] [--after-ms 30000] [--concurrency 128]
 */

import { readConfig } from '../src/settings/backend.ts';
import { option, readCommandLine } from '../src/settings/command-line.ts';
import { wholeNumber } from '../src/settings/grammar.ts';
import { playVirtually } from './fees/virtual-scenario.ts';
import { CHALLENGE_SCRIPTS, type Script } from './rinha/stages.ts';
import { table } from './tools/table.ts';

const AFTER_MS = [0, 500, 1000, 2000, 5000, 10_000, 15_000, 20_000, 25_000, 30_000, 45_000, 60_000];

const standard = readConfig({});
const { values, words } = readCommandLine({
  name: 'bench/fees.ts',
  command: 'node bench/fees.ts',
  about: "What waiting for default is worth in the challenge's scripts, on a virtual clock.",
  words: { known: { preview: 'fees of 5 and 15 %', final: 'fees of 7 and 10 %' }, max: 1 },
  options: {
    'after-ms': option('only this FALLBACK_AFTER_MS', 'MS', wholeNumber(0, 2 ** 31 - 1), undefined),
    concurrency: option('WORKER_CONCURRENCY', 'N', wholeNumber(1, 1024), standard.workerConcurrency),
  },
});
const afterMs = values['after-ms'];
const scripts =
  words.length > 0
    ? [CHALLENGE_SCRIPTS[words[0] as Script['name']]]
    : [CHALLENGE_SCRIPTS.preview, CHALLENGE_SCRIPTS.final];
for (const script of scripts) {
  const { defaultAttempts, backoffMinMs, backoffMaxMs } = standard;
  const rows = (afterMs === undefined ? AFTER_MS : [afterMs]).map(fallbackAfterMs => {
    const policy = { defaultAttempts, backoffMinMs, backoffMaxMs, fallbackAfterMs };
    const outcome = playVirtually(script, { policy, concurrency: values.concurrency });
    const { accepted, settled, ofBest, waitedMsMax } = outcome;
    const percent = (count: number): string => `${((100 * count) / accepted).toFixed(2)} %`;
    return [
      String(fallbackAfterMs),
      percent(settled[1]),
      percent(accepted - settled[0] - settled[1]),
      ofBest.toFixed(4),
      (waitedMsMax / 1000).toFixed(1),
    ];
  });
  const head = ['FALLBACK_AFTER_MS', 'on fallback', 'not settled', 'earned, of the most', 'longest wait, s'];
  console.log(`${script.name}\n${table(head, rows)}\n`);
}
