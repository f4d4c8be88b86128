/**
 * A failover to a standby that lacks the last moment, under load, while default fails and fallback settles:
 * whoever goes on as if nothing were missing settles on default what fallback has.
 */
import { PostgresServer, postgresOf } from '../testing/postgres-server.ts';
import { installedRedis, RedisServer } from '../testing/redis-server.ts';
import { TcpProxy } from '../testing/tcp-proxy.ts';
import { until } from '../testing/until.ts';
import { type LossOptions, report } from './disasters.ts';
import { type Findings, Scene } from './harness.ts';
import { followPrimary } from './redis.ts';

const PAYMENTS = 3000;
/** So many that the standby lacks, at least. */
const BEHIND_MIN = 100;

export interface FailoverFindings extends Findings {
  /** What each backend said that is missing. */
  readonly named: readonly string[];
}

export interface FailoverOptions extends LossOptions {
  readonly store: 'postgres' | 'redis';
  /** Of PostgreSQL; left out, the newest. */
  readonly version?: number | undefined;
}

/** A primary, and a standby that no commit waits for. */
interface Pair {
  /** `STORE_URL`. */
  readonly url: string;
  /** Between the two. */
  readonly link: TcpProxy;
  kill(): Promise<void>;
  promote(): Promise<unknown>;
}

async function redisPair(stack: AsyncDisposableStack): Promise<Pair> {
  const [program] = installedRedis();
  const settings = { appendonly: 'yes', 'repl-backlog-size': '1mb' };
  const primary = stack.use(await RedisServer.start({ program: program!, settings }));
  const standby = stack.use(await RedisServer.start({ program: program!, settings }));
  const link = stack.use(await TcpProxy.start(primary.port));
  await followPrimary(standby, link.port);
  return {
    url: `redis://${[standby, primary].map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    link,
    kill: () => primary.stop('SIGKILL'),
    promote: () => standby.ask('REPLICAOF', 'NO', 'ONE'),
  };
}

async function postgresPair(stack: AsyncDisposableStack, version?: number): Promise<Pair> {
  const options = { binaries: postgresOf(version) };
  const primary = stack.use(await PostgresServer.start(options));
  const link = stack.use(await TcpProxy.start(primary.port));
  const standby = stack.use(await PostgresServer.startStandby(primary, 'standby', options, link.port));
  const isStreaming = async () => (await primary.query('SELECT FROM pg_stat_replication')).length > 0;
  await until(isStreaming, 'the standby to follow');
  return {
    url: `postgres://soquete@${[standby, primary].map(({ port }) => `127.0.0.1:${port}`).join(',')}/postgres`,
    link,
    kill: () => primary.stop('kill'),
    promote: () => standby.promote(),
  };
}

/** Nothing double, something lost and named, and the books differ by that alone. */
export function isAsSaid({ lost, sent, recorded, sums, named }: FailoverFindings): boolean {
  const others = ['lost', 'amount', 'instant', 'queued'] as const;
  const isExplained = sums.lines.every(({ processor, difference }) => {
    const { count, cents } = recorded.explained[processor];
    return difference.count === count && difference.cents === cents;
  });
  return (
    recorded.counts.twice === 0 &&
    lost.length > 0 &&
    named.length > 0 &&
    sent.counts.unknown + sent.counts.absent === lost.length &&
    others.every(verdict => sent.counts[verdict] + recorded.counts[verdict] === 0) &&
    isExplained
  );
}

export async function failOverBehind(options: FailoverOptions): Promise<FailoverFindings> {
  const { payments = PAYMENTS, say, store, version } = options;
  await using stack = new AsyncDisposableStack();
  const pair = store === 'redis' ? await redisPair(stack) : await postgresPair(stack, version);
  await using scene = await Scene.set({ ...options, env: { STORE_URL: pair.url } });
  const { client, processors } = scene;
  await scene.start();
  processors[0].processor.failing = true;
  const sending = client.send(Number.POSITIVE_INFINITY);
  const onFallback = processors[1].processor.book;
  await until(() => onFallback.size > payments / 3, 'fallback to settle');
  pair.link.drop('toClient');
  const settled = onFallback.size;
  await until(() => onFallback.size > settled + BEHIND_MIN, 'the standby to be behind');
  await pair.kill();
  await pair.promote();
  processors[0].processor.failing = false;
  const before = client.accepted;
  await until(() => client.accepted > before + payments / 3, 'payments to be accepted again');
  client.stop();
  await sending;
  await scene.settles();
  const findings = await scene.audit();
  const named = [
    ...new Set(
      scene.stack.launcher.said().match(/it lacks the last \d+ \w+ that it acknowledged to [\w-]+/g),
    ),
  ];
  say('a standby takes over that lacks the last moment');
  report(findings, say);
  for (const line of named) say(`  the log: ${line}`);
  return { ...findings, named };
}
