/**
 * `npm run hosts`: two stacks behind one door, on a database with a synchronous standby, each on a machine of
 * its own (`machines.ts`: root, iproute2). One host is cut off from the database, then from the processors,
 * then from all; at last the database's machine is lost and its standby is promoted. All of it under load;
 * then every payment is audited against both processors' books.
 *
 * Exit code 0: nothing lost, nothing double, and each host did what it should. 1: otherwise.
 */
import { chance } from '../domain/random.ts';
import { AdminClient } from '../processor-simulator/admin-client.ts';
import { serveProcessor } from '../processor-simulator/listener.ts';
import { flag, readCommandLine } from '../settings/command-line.ts';
import { startProxy } from '../testing/haproxy.ts';
import { PostgresServer, postgresOf } from '../testing/postgres-server.ts';
import { ChildProcesses } from '../testing/processes.ts';
import { type RunningStack, startStack } from '../testing/stack.ts';
import { until } from '../testing/until.ts';
import { Client } from './client.ts';
import { auditHost } from './host-audit.ts';
import { inOwnNamespaces, Machine, noMachines, ownAddress, startSwitches } from './machines.ts';

/** 500 payments a second; in a short run, 60. */
const LOAD = { lanes: 60, everyMs: 120 };
const SHORT_LOAD = { lanes: 6, everyMs: 100 };
/** So long a processor works on a payment: some are always on their way. */
const DELAY_MS = 100;
/** How long the operator takes to see that the primary is gone. */
const PROMOTED_AFTER_MS = 1000;
const ATTEMPT_MS = 1500;
/** Then no attempt is at work any more that was written before. */
const LAST_ATTEMPTS_MS = ATTEMPT_MS + 500;
/** A payment has 300 bytes on the cable; beside payments there is a question for the processors' health. */
const QUIET_BYTES_MAX = 3000;

const pass = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

interface Scene {
  readonly primary: PostgresServer;
  readonly standby: PostgresServer;
  readonly machines: Readonly<Record<'one' | 'two' | 'primary', Machine>>;
  readonly stacks: Readonly<Record<'one' | 'two', RunningStack>>;
  /** Through the door before both. */
  readonly client: Client;
}

interface HostsOptions {
  readonly isSynchronous: boolean;
  /** Less of everything: it shows that all of it works. */
  readonly isShort: boolean;
  readonly say: (line: string) => void;
}

/** A primary and its standby. */
async function startPair(machines: readonly [Machine, Machine], isSynchronous: boolean) {
  const binaries = postgresOf();
  const [first, second] = machines.map(machine => ({
    ...{ binaries, host: machine.address('data'), under: machine.under },
    settings: { wal_level: 'replica' },
  }));
  const primary = await PostgresServer.start(first!);
  const standby = await PostgresServer.startStandby(primary, 'standby', second!);
  const isStreaming = async () => (await primary.query('SELECT FROM pg_stat_replication')).length > 0;
  await until(isStreaming, 'the standby to follow');
  if (isSynchronous) {
    await primary.query(`ALTER SYSTEM SET synchronous_standby_names = 'standby'`);
    await primary.query('SELECT pg_reload_conf()');
  }
  return [primary, standby] as const;
}

const startHost = (
  machine: Machine,
  databases: readonly PostgresServer[],
  processorUrls: readonly string[],
): Promise<RunningStack> =>
  startStack({
    under: machine.under,
    env: {
      HOST: '0.0.0.0',
      TRUSTED_PROXIES: ownAddress('front'),
      INSTANCE_PREFIX: `${machine.name}-`,
      STORE_URL: `postgres://soquete@${databases.map(({ host, port }) => `${host}:${port}`).join()}/postgres`,
      ATTEMPT_TIMEOUT_MS: String(ATTEMPT_MS),
      PROCESSOR_DEFAULT_URL: processorUrls[0],
      PROCESSOR_FALLBACK_URL: processorUrls[1],
      LOG_LEVEL: 'warn',
    },
  });

const urlOf = ({ machines, stacks }: Scene, host: 'one' | 'two'): string =>
  `http://${machines[host].address('front')}:${stacks[host].port}`;

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

/** Resolves to how many promises were broken, and about how many payments the books do not agree. */
export async function playHosts({ isSynchronous, isShort, say }: HostsOptions): Promise<number> {
  await using children = new ChildProcesses();
  startSwitches();
  const host = (name: string, number: number) =>
    Machine.start(children, name, number, ['front', 'data', 'outer']);
  const machines = {
    ...{ one: await host('one', 11), two: await host('two', 12) },
    primary: await Machine.start(children, 'primary', 21, ['data']),
    standby: await Machine.start(children, 'standby', 22, ['data']),
  };
  const [primary, standby] = await startPair([machines.primary, machines.standby], isSynchronous);
  await using _primary = primary;
  await using _standby = standby;
  const processors = [
    await serveProcessor(0, 0, ownAddress('outer')),
    await serveProcessor(1, 0, ownAddress('outer')),
  ] as const;
  const urls = [processors[0].url, processors[1].url] as const;
  for (const url of urls) {
    await using admin = new AdminClient(url);
    await admin.set('delay', { delay: DELAY_MS });
  }
  const one = await startHost(machines.one, [primary, standby], urls);
  await using _one = one;
  const two = await startHost(machines.two, [primary, standby], urls);
  await using _two = two;
  await using door = await startProxy('hosts.cfg', {
    SOQUETE_HOST_1: `${machines.one.address('front')}:${one.port}`,
    SOQUETE_HOST_2: `${machines.two.address('front')}:${two.port}`,
  });
  const { lanes, everyMs } = isShort ? SHORT_LOAD : LOAD;
  const misuse = { twice: 0.05, otherAmount: 0 };
  const client = new Client(`http://127.0.0.1:${door.port}`, lanes, chance(1), misuse);
  client.everyMs = everyMs;
  const scene = { primary, standby, machines, stacks: { one, two }, client };
  const sending = client.send(Number.POSITIVE_INFINITY);
  const broken = await breakAll(scene, { isSynchronous, isShort, say });
  client.stop();
  await sending;
  const disagreements = await auditHost(urlOf(scene, 'one'), urls, client, say);
  await client.close();
  for (const processor of processors) await processor.close();
  return broken + disagreements;
}

/** One thing after the other; resolves to the number of promises that were broken. */
async function breakAll(scene: Scene, { isShort, say }: HostsOptions): Promise<number> {
  const { client, machines, stacks, primary, standby } = scene;
  const { two } = machines;
  const calmMs = isShort ? 500 : 3000;
  let broken = 0;
  const phase = async (what: string, act: () => Promise<string | undefined>): Promise<void> => {
    const [fromMs, before] = [performance.now(), client.accepted];
    const found = await act();
    const [accepted, gapMs] = [client.accepted - before, longestGapMs(client, fromMs)];
    const rate = Math.round((accepted / (performance.now() - fromMs)) * 1000);
    say(`${what}: ${gapMs} ms at most without a 202, ${rate} accepted a second${found ? `; ${found}` : ''}`);
  };
  const promise = (holds: boolean, what: string): string => {
    if (!holds) broken += 1;
    return `${what}${holds ? '' : ', which should not be'}`;
  };
  const isWell = async (): Promise<boolean> => (await statusOf(`${urlOf(scene, 'two')}/health`)) === 200;
  const backAgain = async (): Promise<undefined> => {
    await until(isWell, 'host two to be well');
    await pass(calmMs);
  };

  await phase('all is well', () => pass(calmMs).then(() => undefined));
  await phase('host two is cut off from the database', async () => {
    const atMs = performance.now();
    two.unplug('data');
    await until(
      async () => (await statusOf(`${urlOf(scene, 'two')}/health`)) === 503,
      'host two to answer 503',
    );
    const seenMs = Math.round(performance.now() - atMs);
    await pass(LAST_ATTEMPTS_MS);
    const before = two.sentBytes('outer');
    await pass(isShort ? 500 : 2000);
    const bytes = two.sentBytes('outer') - before;
    const isQuiet = bytes < QUIET_BYTES_MAX;
    return `it answers 503 after ${seenMs} ms, then ${promise(isQuiet, `it sent ${bytes} bytes to the processors`)}`;
  });
  two.plug('data');
  await phase('it is back', backAgain);
  await phase('host two is cut off from the processors', async () => {
    two.unplug('outer');
    await pass(isShort ? 2000 : 8000);
    return undefined;
  });
  two.plug('outer');
  await phase('it is back', async () => {
    const atMs = performance.now();
    await untilSettled(urlOf(scene, 'one'), some(client.ids));
    const tookMs = Math.round(performance.now() - atMs);
    await pass(calmMs);
    return `what it had is settled after ${tookMs} ms`;
  });
  await phase('host two is lost', async () => {
    const atMs = performance.now();
    const ids = some(client.ids);
    for (const each of ['front', 'data', 'outer'] as const) two.unplug(each);
    await untilSettled(urlOf(scene, 'one'), ids);
    const tookMs = Math.round(performance.now() - atMs);
    await stacks.two.kill();
    return `what it had is settled after ${tookMs} ms`;
  });
  await phase('the database is lost, its standby is promoted', async () => {
    machines.primary.unplug('data');
    await pass(PROMOTED_AFTER_MS);
    await primary.stop('kill');
    await standby.promote();
    const before = client.accepted;
    await until(() => client.accepted > before, 'payments to be accepted again');
    await pass(calmMs);
    return undefined;
  });
  return broken;
}

/** 0: no answer. */
const statusOf = (url: string): Promise<number> =>
  fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    ({ status }) => status,
    () => 0,
  );

/** The last ones, and some that are older. */
const some = (ids: readonly string[]): string[] =>
  ids.filter((_, at) => at > ids.length - 50 || at % 100 === 0);

async function untilSettled(url: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const isSettled = async (): Promise<boolean> => {
      const answer = await fetch(`${url}/payments/${id}`);
      return answer.status === 200 && ((await answer.json()) as { status: string }).status === 'settled';
    };
    await until(isSettled, `${id} to be settled`);
  }
}

if (import.meta.main) {
  const { values } = readCommandLine({
    name: 'hosts',
    command: 'npm run hosts --',
    about: 'Breaks two hosts and the databases that they share, each on a machine of its own.',
    options: {
      asynchronous: flag('commits do not wait for the standby, so the end is lost with the primary'),
      short: flag('less of everything'),
    },
    status: 78,
  });
  if (noMachines !== undefined) {
    console.error(`hosts: ${noMachines}`);
    process.exit(78);
  }
  await inOwnNamespaces();
  const options = { isSynchronous: !values.asynchronous, isShort: values.short };
  const broken = await playHosts({ ...options, say: line => console.log(line) });
  console.log(broken === 0 ? 'the books agree' : 'the books do NOT agree, or a promise was broken');
  process.exit(broken === 0 ? 0 : 1);
}
