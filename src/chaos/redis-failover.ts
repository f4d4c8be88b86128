/**
 * A failover to a replica that lacks the last moment, under load, while default fails and fallback settles:
 * whoever goes on as if nothing were missing settles on default what fallback has.
 */
import { installedRedis, RedisServer } from '../testing/redis-server.ts';
import { TcpProxy } from '../testing/tcp-proxy.ts';
import { until } from '../testing/until.ts';
import { type LossOptions, report } from './disasters.ts';
import { type Findings, Scene } from './harness.ts';
import { followPrimary } from './redis.ts';

const PAYMENTS = 3000;
/** So many that the replica lacks, at least. */
const BEHIND_MIN = 100;

export interface FailoverFindings extends Findings {
  /** What each backend said that is missing. */
  readonly named: readonly string[];
}

export async function failOverBehind(options: LossOptions): Promise<FailoverFindings> {
  const { payments = PAYMENTS, say } = options;
  const [program] = installedRedis();
  const settings = { appendonly: 'yes', 'repl-backlog-size': '1mb' };
  await using primary = await RedisServer.start({ program: program!, settings });
  await using replica = await RedisServer.start({ program: program!, settings });
  await using link = await TcpProxy.start(primary.port);
  await followPrimary(replica, link.port);
  const hosts = [replica, primary].map(({ port }) => `127.0.0.1:${port}`).join(',');
  await using scene = await Scene.set({ ...options, env: { STORE_URL: `redis://${hosts}` } });
  const { client, processors } = scene;
  await scene.start();
  processors[0].processor.failing = true;
  const sending = client.send(Number.POSITIVE_INFINITY);
  const onFallback = processors[1].processor.book;
  await until(() => onFallback.size > payments / 3, 'fallback to settle');
  link.drop('toClient');
  const settled = onFallback.size;
  await until(() => onFallback.size > settled + BEHIND_MIN, 'the replica to be behind');
  await primary.stop('SIGKILL');
  await replica.ask('REPLICAOF', 'NO', 'ONE');
  processors[0].processor.failing = false;
  const before = client.accepted;
  await until(() => client.accepted > before + payments / 3, 'payments to be accepted again');
  client.stop();
  await sending;
  await scene.settles();
  const findings = await scene.audit();
  const named = [
    ...new Set(
      scene.stack.launcher.said().match(/it lacks the last \d+ batches that it acknowledged to [\w-]+/g),
    ),
  ];
  say('a replica takes over that lacks the last moment');
  report(findings, say);
  for (const line of named) say(`  the log: ${line}`);
  return { ...findings, named };
}
