/**
 * `npm run chaos`: payments through the real stack while its parts are killed, paused and restarted and the
 * processors misbehave; then every payment is audited against both processors' books.
 *
 * What is done, when and to whom comes from the seed; what the machine makes of it does not. Exit code 0:
 * nothing lost, nothing double, books equal on random windows. 1: otherwise.
 */

import { signedDecimal, VERDICTS } from '../audit/reconciliation.ts';
import { auditSent, auditSums } from '../audit/run.ts';
import { CannotAsk, Sources } from '../audit/sources.ts';
import { type Chance, chance } from '../domain/random.ts';
import { EVERYTHING } from '../processor-simulator/admin-client.ts';
import { TOKEN } from '../processor-simulator/token.ts';
import { flag, option, readCommandLine } from '../settings/command-line.ts';
import { oneOf, someText, wholeNumber } from '../settings/grammar.ts';
import { type RunningStack, startStack } from '../testing/stack.ts';
import { ChaosArchive } from './archive.ts';
import { Client } from './client.ts';
import { ChaosDatabase } from './database.ts';
import { playDatabaseRows } from './database-rows.ts';
import { failOverBehind, isAsSaid } from './failover.ts';
import { Injuries } from './fault-injector.ts';
import type { InjuredStore } from './injured-store.ts';
import { playRows } from './promises.ts';
import { ChaosSentinels, ChaosServer } from './redis.ts';

export interface ChaosOptions {
  readonly payments: number;
  readonly connections: number;
  readonly seed: number;
  /** The pause between two injuries, in ms. */
  readonly everyMs: number;
  /**
   * Where payments are kept; `pgbouncer`: in PostgreSQL, with a pooler in between; `sentinel`: in a pair of
   * Redis, with `ACK_AFTER=flush`.
   */
  readonly store?: ChaosStore;
  /** Of PostgreSQL. */
  readonly version?: number | undefined;
  readonly say: (line: string) => void;
}

const CHAOS_STORES = ['sqlite', 'postgres', 'pgbouncer', 'redis', 'sentinel'] as const;
type ChaosStore = (typeof CHAOS_STORES)[number];

/** Windows on which the books are compared at the end. */
const WINDOWS = 20;
const SETTLE_DEADLINE_MS = 240_000;

/** Plays it all; resolves to the number of payments about which the books do not agree. */
export async function playChaos(options: ChaosOptions): Promise<number> {
  const { payments, connections, seed, everyMs, say, store = 'sqlite', version } = options;
  const draw = chance(seed);
  await using database = await storeOf(store, draw, version);
  if (database !== undefined) say(`chaos: on ${database.title}`);
  const isArchived = (store === 'redis' || store === 'postgres') && seed % 2 === 1;
  using archive = isArchived ? new ChaosArchive() : undefined;
  await using stack = await startStack({
    env: {
      ...archive?.env,
      LOG_LEVEL: 'error',
      ATTEMPT_TIMEOUT_MS: '1500',
      FALLBACK_AFTER_MS: '4000',
      ...(database === undefined ? {} : { STORE_URL: database.url }),
      ...(store === 'sentinel' ? { ACK_AFTER: 'flush' } : {}),
    },
  });
  const client = new Client(stack.url, connections, draw);
  const injuries = new Injuries(stack, draw, database?.injuries);
  say(`chaos: ${payments} payments on ${stack.url}, an injury every ${everyMs} ms, seed ${seed}`);
  const progress = setInterval(() => say(`  ${client.accepted} accepted, last: ${injuries.last}`), 5000);
  const startedAt = performance.now();
  const ended = injuries.keepInjuring(everyMs);
  await client.send(payments);
  const seconds = (performance.now() - startedAt) / 1000;
  await injuries.heal();
  await database?.heal();
  await ended;
  clearInterval(progress);
  say(
    `accepted ${client.accepted} payments in ${seconds.toFixed(1)} s; healed, waiting for the rest to settle`,
  );
  const settledMs = await untilSettled(stack, client.accepted);
  say(`injected: ${list(injuries.counts)}`);
  say(`seen by the client: ${list(client.answers)}`);
  say(`all settled ${settledMs === undefined ? 'NOT' : `${(settledMs / 1000).toFixed(1)} s`} after healing`);
  // What is archived is in no window exactly but in one of whole days.
  const windows = archive === undefined ? WINDOWS : 0;
  const disagreements =
    (await audit(stack, client.ids, draw, startedAt, windows, say)) +
    ((await archive?.audit(client.ids, say)) ?? 0);
  await client.close();
  return disagreements + (settledMs === undefined ? 1 : 0);
}

async function storeOf(store: ChaosStore, draw: Chance, version?: number): Promise<InjuredStore | undefined> {
  if (store === 'sqlite') return undefined;
  if (store === 'redis') return ChaosServer.start(draw);
  if (store === 'sentinel') return ChaosSentinels.start(draw);
  return ChaosDatabase.start(draw, store === 'pgbouncer', version);
}

/**
 * How long it took, in ms, until as many are settled as were accepted; undefined: longer than anyone should
 * wait.
 */
async function untilSettled(stack: RunningStack, accepted: number): Promise<number | undefined> {
  const startedAt = performance.now();
  const sources = new Sources(addresses(stack));
  try {
    while (performance.now() - startedAt < SETTLE_DEADLINE_MS) {
      const settled = await sources.summary(EVERYTHING).then(
        summary => summary.default.count + summary.fallback.count,
        // Its connection to the database was one of those that healing cut.
        error => (error instanceof CannotAsk ? 0 : Promise.reject(error)),
      );
      if (settled >= accepted) return performance.now() - startedAt;
      await new Promise(resolve => setTimeout(resolve, 100));
    }
    return undefined;
  } finally {
    await sources.close();
  }
}

async function audit(
  stack: RunningStack,
  ids: readonly string[],
  draw: Chance,
  startedAt: number,
  windows: number,
  say: (line: string) => void,
): Promise<number> {
  const sources = new Sources(addresses(stack));
  try {
    const { lines } = await auditSums(sources);
    for (const { processor, ours, theirs } of lines) {
      say(
        `  ${processor}: soquete ${ours.count}, ${signedDecimal(ours.cents)}; processor ${theirs.count}, ${signedDecimal(theirs.cents)}`,
      );
    }
    const nowMs = Date.now();
    const spanMs = performance.now() - startedAt;
    let windowsThatDiffer = 0;
    for (let window = 0; window < windows; window++) {
      const fromMs = Math.round(nowMs - draw() * spanMs);
      const sums = await auditSums(sources, { fromMs, toMs: Math.round(fromMs + draw() * spanMs) });
      if (!sums.agree) windowsThatDiffer += 1;
    }
    const payments = await auditSent(sources, ids);
    const { counts, examined } = payments;
    say(
      `audited ${examined} payments one by one: lost ${counts.lost + counts.absent + counts.unknown + counts.queued}, double ${counts.twice}`,
    );
    for (const verdict of VERDICTS) if (counts[verdict] > 0) say(`  ${verdict}: ${counts[verdict]}`);
    say(`${windows} random windows: ${windowsThatDiffer} differ`);
    return windowsThatDiffer + VERDICTS.reduce((sum, verdict) => sum + counts[verdict], 0);
  } finally {
    await sources.close();
  }
}

const addresses = ({ url, processorUrls }: RunningStack) => ({
  url,
  default: processorUrls[0],
  fallback: processorUrls[1],
  token: TOKEN,
});

const list = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([name, count]) => `${name} ${count}`).join(', ');

if (import.meta.main) {
  const { values } = readCommandLine({
    name: 'chaos',
    command: 'npm run chaos --',
    about: `Sends payments through the real stack while its parts are killed, paused and restarted and the processors misbehave.
Ends with 0 when nothing is lost or double and the books agree, with 1 otherwise.`,
    options: {
      payments: option('how many', 'N', wholeNumber(1, 10_000_000), 100_000),
      connections: option('on which they are sent', 'N', wholeNumber(1, 10_000), 64),
      seed: option(
        'injures the same parts at the same times (one from the clock)',
        'N',
        wholeNumber(0, 2 ** 32 - 1),
        undefined,
      ),
      store: option('where payments are kept', CHAOS_STORES.join('|'), oneOf(...CHAOS_STORES), 'sqlite'),
      version: option(
        'of PostgreSQL, 18 or what is installed (the newest)',
        'N',
        wholeNumber(15, 99),
        undefined,
      ),
      failover: flag(
        'the primary of postgres or redis dies instead, and a standby takes over that lacks the end',
      ),
      rows: option(
        'plays the rows of docs/promises.md instead that have this in their names, or "all"; with --store postgres what two hosts go through',
        'TEXT',
        someText('a part of a name, or "all"'),
        undefined,
      ),
    },
  });
  const { payments, connections, rows, store, version, seed = Date.now() % 1_000_000 } = values;
  const say = (line: string): void => console.log(line);
  if (values.failover) {
    if (store !== 'postgres' && store !== 'redis') {
      console.error('chaos: --failover needs --store postgres or --store redis');
      process.exit(2);
    }
    const findings = await failOverBehind({ payments, connections, seed, store, version, say });
    const isWell = isAsSaid(findings);
    say(isWell ? 'double 0: the books differ by what is lost, which the log names' : 'a promise is BROKEN');
    process.exit(isWell ? 0 : 1);
  }
  if (rows !== undefined) {
    const part = rows === 'all' ? '' : rows;
    const broken =
      store === 'postgres'
        ? await playDatabaseRows(part, { seed, version, say })
        : await playRows(part, { connections, seed, say });
    say(broken === 0 ? 'no promise is broken' : `${broken} promises are BROKEN`);
    process.exit(broken === 0 ? 0 : 1);
  }
  const disagreements = await playChaos({
    payments,
    connections,
    seed,
    store,
    version,
    everyMs: 1000,
    say,
  });
  console.log(disagreements === 0 ? 'lost 0, double 0: the books agree' : 'the books do NOT agree');
  process.exitCode = disagreements === 0 ? 0 : 1;
}
