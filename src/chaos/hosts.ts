/**
 * `npm run hosts`: two stacks behind one door, on a database with a synchronous standby. One host is cut off
 * from the database, the other one dies, then the database dies and its standby is promoted, all under load;
 * then every payment is audited against both processors' books.
 *
 * All of it runs on this machine, each host with processes, ports and connections to the database of its own.
 * Exit code 0: nothing lost, nothing double. 1: otherwise.
 */
import { signedDecimal } from '../audit/reconciliation.ts';
import { auditSent, auditSums } from '../audit/run.ts';
import { CannotAsk, Sources } from '../audit/sources.ts';
import { chance } from '../domain/random.ts';
import { EVERYTHING } from '../processor-simulator/admin-client.ts';
import { serveProcessor } from '../processor-simulator/listener.ts';
import { TOKEN } from '../processor-simulator/token.ts';
import { startProxy } from '../testing/haproxy.ts';
import { installedPostgres, PostgresServer } from '../testing/postgres-server.ts';
import { type RunningStack, startStack } from '../testing/stack.ts';
import { TcpProxy } from '../testing/tcp-proxy.ts';
import { until } from '../testing/until.ts';
import { Client } from './client.ts';

/** With their pauses these send some 500 payments a second. */
const LANES = 12;
const PAUSE_MS = 20;
const BEFORE_MS = 3000;
/** How long the operator takes to see that the primary is gone. */
const PROMOTED_AFTER_MS = 1000;
const SETTLE_DEADLINE_MS = 120_000;

const pass = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** A primary and its standby, of the newest version that can make one. */
async function startPair(isSynchronous: boolean): Promise<readonly [PostgresServer, PostgresServer]> {
  const binaries = installedPostgres().find(({ canCopy }) => canCopy);
  if (binaries === undefined)
    throw new Error('hosts: pg_basebackup is missing (Debian: apt-get install postgresql-15)');
  const primary = await PostgresServer.start({ binaries, settings: { wal_level: 'replica' } });
  const standby = await PostgresServer.startStandby(primary, 'standby', { binaries });
  const isStreaming = async () => (await primary.query('SELECT FROM pg_stat_replication')).length > 0;
  await until(isStreaming, 'the standby to follow');
  if (isSynchronous) {
    await primary.query(`ALTER SYSTEM SET synchronous_standby_names = 'standby'`);
    await primary.query('SELECT pg_reload_conf()');
  }
  return [primary, standby];
}

interface Host {
  readonly stack: RunningStack;
  /** Its ways to the two databases. */
  readonly ways: readonly [TcpProxy, TcpProxy];
}

async function startHost(
  name: string,
  databases: readonly PostgresServer[],
  processorUrls: readonly string[],
): Promise<Host> {
  const ways = [await TcpProxy.start(databases[0]!.port), await TcpProxy.start(databases[1]!.port)] as const;
  const hosts = ways.map(({ port }) => `127.0.0.1:${port}`).join();
  const stack = await startStack({
    env: {
      INSTANCE_PREFIX: `${name}-`,
      STORE_URL: `postgres://soquete@${hosts}/postgres`,
      ATTEMPT_TIMEOUT_MS: '1500',
      PROCESSOR_DEFAULT_URL: processorUrls[0],
      PROCESSOR_FALLBACK_URL: processorUrls[1],
      LOG_LEVEL: 'warn',
    },
  });
  return { stack, ways };
}

/** The longest time without a `202` since `fromMs`. */
function longestGapMs(client: Client, fromMs: number): number {
  let last = fromMs;
  let longest = 0;
  for (const { atMs } of client.payments) {
    if (atMs < fromMs) continue;
    longest = Math.max(longest, atMs - last);
    last = atMs;
  }
  return Math.round(Math.max(longest, performance.now() - last));
}

/** Resolves to the number of payments about which the books do not agree. */
export async function playHosts(isSynchronous: boolean, say: (line: string) => void): Promise<number> {
  const [primary, standby] = await startPair(isSynchronous);
  await using _primary = primary;
  await using _standby = standby;
  const processors = [await serveProcessor(0, 0), await serveProcessor(1, 0)] as const;
  const urls = processors.map(({ url }) => url) as [string, string];
  const one = await startHost('one', [primary, standby], urls);
  await using _one = one.stack;
  const two = await startHost('two', [primary, standby], urls);
  await using _two = two.stack;
  await using door = await startProxy('hosts.cfg', {
    SOQUETE_HOST_1: `127.0.0.1:${one.stack.port}`,
    SOQUETE_HOST_2: `127.0.0.1:${two.stack.port}`,
  });
  const url = `http://127.0.0.1:${door.port}`;
  const client = new Client(url, LANES, chance(1), { twice: 0.05, otherAmount: 0 });
  client.pauseMs = PAUSE_MS;
  const sending = client.send(Number.POSITIVE_INFINITY);
  const phase = async (what: string, ms: number, act: () => unknown): Promise<void> => {
    const [fromMs, before] = [performance.now(), client.accepted];
    await act();
    await pass(ms);
    say(
      `${what}: ${client.accepted - before} accepted, ${longestGapMs(client, fromMs)} ms at most without a 202`,
    );
  };
  await phase('all is well', BEFORE_MS, () => {});
  await phase('host two is cut off from the database', 6000, () => {
    for (const way of two.ways) way.cut(true);
  });
  await phase('it is back', BEFORE_MS, () => {
    for (const way of two.ways) way.heal();
  });
  await phase('host two dies', 8000, () => void two.stack.signal('SIGKILL'));
  await phase('the database dies, its standby is promoted', 10_000, async () => {
    await primary.stop('kill');
    await pass(PROMOTED_AFTER_MS);
    await standby.promote();
  });
  client.stop();
  await sending;
  const disagreements = await auditHost(one.stack.url, urls, client, say);
  await client.close();
  for (const processor of processors) await processor.close();
  for (const way of [...one.ways, ...two.ways]) await way[Symbol.asyncDispose]();
  return disagreements;
}

export async function auditHost(
  url: string,
  [onDefault, onFallback]: readonly [string, string],
  client: Client,
  say: (line: string) => void,
): Promise<number> {
  const sources = new Sources({ url, default: onDefault, fallback: onFallback, token: TOKEN });
  try {
    const settled = async (): Promise<boolean> => {
      try {
        const summary = await sources.summary(EVERYTHING);
        return summary.default.count + summary.fallback.count >= client.accepted;
      } catch (error) {
        if (error instanceof CannotAsk) return false;
        throw error;
      }
    };
    await until(settled, 'all to be settled', SETTLE_DEADLINE_MS).catch(error => say(String(error)));
    const { lines, agree } = await auditSums(sources);
    for (const { processor, ours, theirs } of lines) {
      const [mine, other] = [signedDecimal(ours.cents), signedDecimal(theirs.cents)];
      say(`  ${processor}: soquete ${ours.count}, ${mine}; processor ${theirs.count}, ${other}`);
    }
    const { counts } = await auditSent(sources, client.ids);
    const lost = counts.lost + counts.absent + counts.unknown + counts.queued;
    say(`${client.accepted} accepted: lost ${lost}, double ${counts.twice}`);
    return lost + counts.twice + (agree ? 0 : 1);
  } finally {
    await sources.close();
  }
}

if (import.meta.main) {
  const isSynchronous = process.argv[2] !== '--asynchronous';
  const disagreements = await playHosts(isSynchronous, line => console.log(line));
  console.log(disagreements === 0 ? 'the books agree' : 'the books do NOT agree');
  process.exit(disagreements === 0 ? 0 : 1);
}
