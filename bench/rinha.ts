/**
 * The challenge's scripts, for real: users, processors that slow down and fail, an auditor who compares the
 * books meanwhile, and the score at the end.
 *
 *   npm run bench:rinha -- preview           60 s, up to 550 users; starts a stack of its own
 *   npm run bench:rinha -- final             300 s, up to 603 users
 *   npm run bench:rinha -- final --scale 0.1         all times a tenth: delays, stages, deadlines
 *   npm run bench:rinha -- --hops            follows each payment from hop to hop
 *   npm run bench:rinha -- --limits          within the limits of docker-compose.yml, as root without Docker
 *   npm run bench:rinha -- --containers      the same with Docker
 *   npm run bench:rinha -- --k6 path/to/rinha-final.js     the challenge's own script, requests.js beside it
 *   npm run bench:rinha -- --rival 'command'     another entry first, then soquete; one table
 *   npm run bench:rinha -- --url http://localhost:9999     plays it to a soquete that runs already
 *
 * Ends with status 1 when the books disagreed or an accepted payment is not settled.
 */
import { flag, option, readCommandLine } from '../src/settings/command-line.ts';
import { decimalNumber, httpUrl, someText, wholeNumber } from '../src/settings/grammar.ts';
import { ChildProcesses } from '../src/testing/processes.ts';
import {
  constantAnswer,
  containedSoquete,
  limitedSoquete,
  type RinhaContender,
  rival,
  unlimitedSoquete,
} from './rinha/contenders.ts';
import { scenarioEnvironment } from './rinha/environment.ts';
import { type ClientHop, followHops } from './rinha/hops.ts';
import { monotonicOffsetMs } from './rinha/hops-preload.ts';
import { K6_COMPARED, k6Cells, playWithK6 } from './rinha/k6.ts';
import { play, playFloor, type ScenarioResult } from './rinha/scenario.ts';
import {
  bestScore,
  COMPARED,
  comparedCells,
  floorLines,
  isFlawless,
  outcomeLines,
  score,
} from './rinha/score.ts';
import { CHALLENGE_SCRIPTS, type Script } from './rinha/stages.ts';
import { ProgressLine, silence } from './tools/progress.ts';
import { constantProxy } from './tools/proxy.ts';
import { keep } from './tools/results-file.ts';
import type { Latency } from './tools/statistics.ts';
import { table } from './tools/table.ts';
import { watchThreads } from './tools/thread-usage.ts';

const { values, words } = readCommandLine({
  name: 'bench:rinha',
  command: 'npm run bench:rinha --',
  about: `The challenge's scripts: growing load, processors that slow down and fail, audits meanwhile, and the score.
Ends with 1 when the books disagreed or an accepted payment is not settled.`,
  words: {
    known: {
      preview: '60 s, up to 550 users, fees of 5 and 15 %; this one where none is named',
      final: '300 s, up to 603 users, fees of 7 and 10 %',
      steady: '30 s, up to 5,000 payments a second, processors without a fault',
      drain: '50 s of 500 payments a second; 10,000 of them wait for 20 s, and then drain',
    },
    max: 1,
  },
  options: {
    limits: flag('keeps each process within the limits of docker-compose.yml, by control groups, as root'),
    containers: flag('starts the stack with Docker Compose, within the same limits'),
    url: option('a soquete that runs already, instead of a stack of its own', 'URL', httpUrl, undefined),
    default: option("that one's default processor", 'URL', httpUrl, 'http://localhost:8001'),
    fallback: option("that one's fallback processor", 'URL', httpUrl, 'http://localhost:8002'),
    rival: option(
      'plays to another entry first: it serves port 9999, prints ready and finds the processors by PROCESSOR_DEFAULT_URL and PROCESSOR_FALLBACK_URL',
      'COMMAND',
      someText('a command of the shell'),
      undefined,
    ),
    k6: option(
      "plays the challenge's own script, with k6, and shows its results",
      'FILE',
      someText('the path of rinha.js or rinha-final.js, beside which requests.js is'),
      undefined,
    ),
    threads: flag('shows how long each thread ran, and waited for a processor, for each request'),
    hops: flag(
      'shows where payments were how long, and the slowest 1 % of them; not with --limits or --containers',
    ),
    scale: option('all times and delays are multiplied by it', 'N', decimalNumber(0.01, 10), 1),
    users: option('how many there are at the end', 'N', wholeNumber(1, 10_000), undefined),
    'with-floor': flag("plays the same load to HAProxy's constant answer before"),
    together: flag('plays it to that at the same time, where other work disturbs this machine'),
    floor: flag('plays it to that alone'),
  },
  status: 78,
});
const script = CHALLENGE_SCRIPTS[(words[0] ?? 'preview') as Script['name']];
const size = { script, scale: values.scale, users: values.users ?? script.users };
const env = scenarioEnvironment(size, process.env);
// The simulated processors' fees, whoever starts them.
Object.assign(process.env, env);

const progress = new ProgressLine();
await using children = new ChildProcesses();
const isFull = size.scale === 1 && size.users === script.users;

if (values.floor) {
  console.log(floorLines(await floor()).join('\n'));
} else {
  const withFloor = values['with-floor'] && !values.together;
  const before = withFloor && values.k6 === undefined ? await floor() : undefined;
  const rows: string[][] = [];
  const { rival: command } = values;
  const starts = [
    ...(withFloor && values.k6 !== undefined ? [constantAnswer] : []),
    ...(command === undefined ? [] : [() => rival(command)]),
    soquete,
  ];
  using hops = values.hops ? followHops() : undefined;
  Object.assign(env, hops?.env);
  const sent: ClientHop[] = [];
  const offsetMs = monotonicOffsetMs();
  const follow = (id: string, sentMs: number, answeredMs: number) =>
    sent.push({ id, sentMs: sentMs + offsetMs, answeredMs: answeredMs + offsetMs });
  for (const start of starts) {
    sent.length = 0;
    await using contender = await start();
    if (values.k6 !== undefined) {
      const results = await playWithK6(children, values.k6, contender.places, size.users);
      console.log(`${contender.name}\n${JSON.stringify(results, undefined, 2)}`);
      rows.push([contender.name, ...k6Cells(results)]);
    } else {
      const beside = values.together ? floor(new ProgressLine(silence)) : undefined;
      const own = { name: 'this client', pids: [process.pid] };
      const threads = watchThreads([...(contender.processes ?? []), own]);
      const outcome = await play(contender.places, size, progress, hops && follow);
      if (starts.length > 1) console.log(`\n${contender.name}`);
      report(outcome, before ?? (await beside), start === soquete);
      const backends = contender.processes?.find(({ name }) => name === 'backends')?.pids;
      if (hops !== undefined && backends !== undefined) console.log(await hops.table(sent, backends));
      if (values.threads) console.log(threads(outcome.latencyCount));
      rows.push([contender.name, ...comparedCells(outcome)]);
    }
    if (contender.usage !== undefined) console.log(contender.usage());
  }
  const compared = values.k6 === undefined ? COMPARED : K6_COMPARED;
  if (rows.length > 1) console.log(`\n${table([script.name, ...compared], rows)}`);
}

function soquete(): Promise<RinhaContender> {
  if (values.containers) return containedSoquete();
  if (values.limits) return limitedSoquete(env);
  return values.url === undefined ? unlimitedSoquete(env) : Promise.resolve(running(values.url));
}

/** The one that the command line names. */
function running(url: string): RinhaContender {
  const processors = { default: values.default, fallback: values.fallback };
  return { name: 'soquete', places: { url, processors }, [Symbol.asyncDispose]: async () => {} };
}

async function floor(shown = progress): Promise<Latency> {
  const { port } = await constantProxy(children);
  return await playFloor({ host: '127.0.0.1', port }, size, shown);
}

function report(outcome: ScenarioResult, constant: Latency | undefined, isOurs: boolean): void {
  console.log(outcomeLines(outcome).join('\n'));
  if (constant !== undefined) {
    console.log(floorLines(constant).join('\n'));
    const ratio = outcome.latency.p99 / constant.p99;
    console.log(
      `p99 ratio        ${ratio.toFixed(2)} times that of the constant answer; at that p99 the best score is ${bestScore(outcome, constant.p99)}`,
    );
  }
  if (!isOurs) return;
  if (!isFlawless(outcome)) process.exitCode = 1;
  const about = `the challenge's ${script.name}: ${script.seconds} s of growing load, failing processors, audits, and a score`;
  const name = script.name === 'preview' ? 'rinha' : `rinha-${script.name}`;
  if (isFull) keep(name, { about, score: score(outcome), constant, ...outcome });
}
