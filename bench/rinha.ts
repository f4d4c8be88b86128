/**
 * The challenge's scenario, for real: 550 users, 60 seconds, processors that slow down and fail, an auditor
 * who compares the books meanwhile, and the score at the end.
 *
 *   npm run bench:rinha                      starts a stack of its own
 *   npm run bench:rinha -- --with-floor      and plays the same load to HAProxy's constant answer before
 *   npm run bench:rinha -- --floor           that alone
 *   npm run bench:rinha -- --url http://localhost:9999 --default http://localhost:8001 --fallback http://localhost:8002
 *   npm run bench:rinha -- --seconds 6       everything ten times as fast
 *
 * Ends with status 1 when the books disagreed or an accepted payment is not settled.
 */
import { parseArgs } from 'node:util';
import type { Places } from './rinha/auditor.ts';
import { type Outcome, play, playFloor } from './rinha/scenario.ts';
import { bestScore, floorLines, isFlawless, outcomeLines } from './rinha/score.ts';
import { FULL_SECONDS, USERS } from './rinha/stages.ts';
import { Children } from './tools/children.ts';
import { Progress } from './tools/progress.ts';
import { constantProxy } from './tools/proxy.ts';
import { startStack } from './tools/soquete.ts';
import type { Latency } from './tools/statistics.ts';

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    default: { type: 'string', default: 'http://localhost:8001' },
    fallback: { type: 'string', default: 'http://localhost:8002' },
    seconds: { type: 'string', default: String(FULL_SECONDS) },
    users: { type: 'string', default: String(USERS) },
    floor: { type: 'boolean', default: false },
    'with-floor': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const size = { seconds: Number(values.seconds), users: Number(values.users) };
if (!(size.seconds > 0) || !(size.users >= 1)) {
  console.error('bench:rinha: --seconds and --users take numbers above 0');
  process.exit(78);
}

const progress = new Progress();
let floor: Latency | undefined;
if (values.floor || values['with-floor']) {
  await using children = new Children();
  const { port } = await constantProxy(children);
  floor = await playFloor({ host: '127.0.0.1', port }, size, progress);
}
if (values.floor) {
  console.log(floorLines(floor!).join('\n'));
} else {
  await using children = new Children();
  const outcome = await play(await places(children), size, progress);
  if (values.json) console.log(JSON.stringify({ ...outcome, floor, score: undefined }));
  else report(outcome);
  if (!isFlawless(outcome)) process.exitCode = 1;
}

async function places(children: Children): Promise<Places> {
  if (values.url !== undefined) {
    return { url: values.url, processors: { default: values.default, fallback: values.fallback } };
  }
  const { url, processors } = await startStack(children);
  return { url, processors: { default: processors[0], fallback: processors[1] } };
}

function report(outcome: Outcome): void {
  console.log(outcomeLines(outcome).join('\n'));
  if (floor === undefined) return;
  console.log(floorLines(floor).join('\n'));
  const ratio = outcome.latency.p99 / floor.p99;
  console.log(
    `p99 ratio        ${ratio.toFixed(2)} times the floor; with the floor's p99 the best score is ${bestScore(outcome, floor.p99)}`,
  );
}
