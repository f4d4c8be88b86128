/**
 * A soak of hostility: each attack for a while, beside an honest client whose payments have to go on.
 *
 *   npm run siege                              all attacks, a minute each
 *   npm run siege -- --seconds 5 metrics       some, for 5 s
 *   npm run siege -- --from 127.0.0.1          from an address that is not limited
 *
 * Ends with status 1 when the client saw an error, its p99 was more than four times that of the quiet, or a
 * backend ended or was fenced.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { option, readCommandLine } from '../src/settings/command-line.ts';
import { decimalNumber, oneOf, someText, wholeNumber } from '../src/settings/grammar.ts';
import { ChildProcesses } from '../src/testing/processes.ts';
import { BACKENDS, type RunningStack, startStack } from '../src/testing/stack.ts';
import { ATTACKS } from './siege/attacks.ts';
import { type Honest, payHonestly } from './siege/honest.ts';
import { residentMiB } from './tools/process-usage.ts';
import { number, table } from './tools/table.ts';

const names = Object.keys(ATTACKS);
const { values, words } = readCommandLine({
  name: 'siege',
  command: 'npm run siege --',
  about:
    'Attacks beside an honest client, and what it notices of them. Those that are not named are left out.',
  words: {
    known: Object.fromEntries(names.map(name => [name, ATTACKS[name]!.about])),
    max: names.length,
  },
  options: {
    seconds: option('how long each attack lasts', 'N', decimalNumber(0.5, 86_400), 60),
    rate: option('payments a second of the honest client', 'N', wholeNumber(1, 10_000), 500),
    from: option('whence the attacks come', 'ADDRESS', someText('an address'), '127.0.0.2'),
    slower: option('how many times the quiet p99 may be', 'N', decimalNumber(1, 1e6), 4),
    proxy: option('what is in front', 'http|tcp|none', oneOf('http', 'tcp', 'none'), 'http'),
  },
  status: 78,
});
const { seconds, rate, from, proxy, slower } = values;
const WARM_UP_SECONDS = 3;
/** What the last attack left behind is let go. */
const PAUSE_MS = 1_000;

interface Watched {
  readonly honest: Honest;
  /** The most that a backend had, and HAProxy, in MiB. */
  readonly backendMiB: number;
  readonly proxyMiB: number;
  /** Lines of the launcher and the backends about ends and fences. */
  readonly incidents: readonly string[];
}

/** Lets the honest client pay, and watches the stack meanwhile. */
async function watch(stack: RunningStack, forSeconds: number): Promise<Watched> {
  const said = stack.launcher.said().length;
  const most = { backend: 0, proxy: 0 };
  const measure = (): void => {
    const of = (part: 'proxy' | (typeof BACKENDS)[number]): number =>
      Math.max(0, ...stack.pids(part).map(residentMiB));
    most.backend = Math.max(most.backend, ...BACKENDS.map(of));
    most.proxy = Math.max(most.proxy, of('proxy'));
  };
  measure();
  const timer = setInterval(measure, 1_000);
  const honest = await payHonestly(stack.url, rate, forSeconds);
  clearInterval(timer);
  measure();
  const incidents =
    stack.launcher
      .said()
      .slice(said)
      .match(/^.*(ended|fenced|died).*$/gim) ?? [];
  return { honest, backendMiB: most.backend, proxyMiB: most.proxy, incidents };
}

interface Attempt extends Watched {
  readonly name: string;
  readonly attacker: { opened: number; refused: number; statuses: Record<string, number> };
}

async function besiege(stack: RunningStack, children: ChildProcesses, name: string): Promise<Attempt> {
  const script = fileURLToPath(new URL('siege/attacker.ts', import.meta.url));
  const args = [script, name, String(stack.port), String(seconds), from];
  const attacker = children.spawn(name, process.execPath, args);
  const watched = await watch(stack, seconds);
  if ((await attacker.exited) !== 0) throw new Error(`the attacker failed: ${attacker.said()}`);
  return { name, attacker: JSON.parse(attacker.said()), ...watched };
}

/** What was not as it has to be. */
function faults({ honest, incidents }: Watched, quiet: Honest): string[] {
  const errors = Object.entries(honest.errors).map(([what, count]) => `${count} × ${what}`);
  const isSlow = honest.p99 > quiet.p99 * slower;
  return [...errors, ...(isSlow ? ['slow'] : []), ...incidents];
}

const row = (name: string, { honest, backendMiB, proxyMiB }: Watched, quiet: Honest): string[] => [
  name,
  number(honest.p50),
  number(honest.p99),
  number(honest.p99 / quiet.p99),
  number(honest.max),
  String(Object.values(honest.errors).reduce((sum, count) => sum + count, 0)),
  number(backendMiB),
  number(proxyMiB),
];

const statusesOf = ({ attacker }: Attempt): string =>
  Object.entries(attacker.statuses)
    .map(([status, count]) => `${count} × ${status}`)
    .join(', ');

await using children = new ChildProcesses();
await using stack = await startStack({ env: { PROXY: proxy } });
await payHonestly(stack.url, rate, WARM_UP_SECONDS);
const quietly = await watch(stack, seconds);
const quiet = quietly.honest;
const rows = [row('(quiet)', quietly, quiet)];
const failures: string[] = [];
for (const name of words.length > 0 ? words : names) {
  const attempt = await besiege(stack, children, name);
  rows.push([
    ...row(name, attempt, quiet),
    number(attempt.attacker.opened),
    number(attempt.attacker.refused),
  ]);
  const wrong = faults(attempt, quiet);
  console.error(`${name}: ${wrong.length === 0 ? 'held' : wrong.join('; ')} (${statusesOf(attempt)})`);
  if (wrong.length > 0) failures.push(name);
  await sleep(PAUSE_MS);
}
rows[0]!.push('', '');
const head = ['attack', 'p50 ms', 'p99 ms', '× quiet', 'max ms', 'errors', 'backend MiB', 'proxy MiB'];
console.log(table([...head, 'opened', 'unanswered'], rows));
if (failures.length > 0) {
  console.log(`\nnot held: ${failures.join(', ')}`);
  process.exitCode = 1;
}
