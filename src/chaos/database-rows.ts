/**
 * What two hosts on one database are put through, beside what `main.ts` does at random and `hosts.ts` does in
 * order: `npm run chaos -- --store postgres --rows all`.
 */
import { randomUUID } from 'node:crypto';
import { concurrently } from '../audit/run.ts';
import { chance } from '../domain/random.ts';
import { serveProcessor } from '../processor-simulator/listener.ts';
import { startProxy } from '../testing/haproxy.ts';
import { PostgresServer, postgresOf } from '../testing/postgres-server.ts';
import { type RunningStack, startStack } from '../testing/stack.ts';
import { until } from '../testing/until.ts';
import { Client } from './client.ts';
import { auditHost } from './host-audit.ts';
import { LoopDisk, noLoopDisk } from './loop-disk.ts';

export interface DatabaseRowOptions {
  readonly seed: number;
  /** Of PostgreSQL; left out, the newest. */
  readonly version?: number | undefined;
  /** Of ids with two amounts. */
  readonly pairs?: number;
  readonly say: (line: string) => void;
}

interface TwoHosts {
  readonly server: PostgresServer;
  readonly hosts: readonly [RunningStack, RunningStack];
  /** Through the door before both. */
  readonly client: Client;
  readonly say: (line: string) => void;
}

interface DatabaseRow {
  readonly fault: string;
  readonly notHere?: string | undefined;
  /** Of the second host. */
  readonly env?: NodeJS.ProcessEnv;
  /** In MiB: the database has a disk of its own. */
  readonly disk?: number;
  /** Resolves to the number of payments about which a promise was broken. */
  readonly act: (scene: TwoHosts, options: DatabaseRowOptions, disk?: LoopDisk) => Promise<number>;
}

const LANES = 12;
const EVERY_MS = 24;
const PAIRS = 10_000;
const HOUR_MS = 3_600_000;

const passes = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** A wall clock that is ahead, in every process that starts with it; time passes as elsewhere. */
const AHEAD = `const Real = Date, now = Real.now;
globalThis.Date = class extends Real {
  constructor(...parts) { if (parts.length > 0) super(...parts); else super(now() + ${HOUR_MS}); }
  static now() { return now() + ${HOUR_MS}; }
};`;

/** The load, while something is done. */
async function under(client: Client, act: () => Promise<void>): Promise<void> {
  client.everyMs = EVERY_MS;
  const sending = client.send(Number.POSITIVE_INFINITY);
  await passes(2000);
  await act();
  client.stop();
  await sending;
}

const ROWS: readonly DatabaseRow[] = [
  {
    fault: 'an id comes with two amounts, to two hosts at once',
    async act({ hosts, client, say }, { pairs = PAIRS }) {
      const counts = new Map<string, number>();
      let broken = 0;
      await concurrently(Array.from({ length: pairs }), async () => {
        const id = randomUUID();
        const statuses = await Promise.all(hosts.map(({ url }, at) => decided(url, id, at === 0 ? 5 : 7)));
        const key = statuses.toSorted().join(' and ');
        counts.set(key, (counts.get(key) ?? 0) + 1);
        if (key !== '202 and 409') broken += 1;
        else client.payments.push({ id, cents: statuses[0] === 202 ? 5 : 7, atMs: 0 });
      });
      say(`  ${pairs} pairs: ${[...counts].map(([key, count]) => `${key} ${count}`).join(', ')}`);
      return broken;
    },
  },
  {
    fault: 'the clock of a host is an hour ahead, and the other host dies',
    env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(AHEAD)}` },
    async act({ hosts, client, say }) {
      await under(client, async () => {
        await passes(4000);
        hosts[0].signal('SIGKILL');
        await passes(6000);
      });
      const summary = async (query: string): Promise<string> =>
        (await fetch(`${hosts[1].url}/payments-summary${query}`)).text();
      const soon = new Date(Date.now() + HOUR_MS / 2).toISOString();
      say(`  as of half an hour from now: ${await summary(`?from=${soon}`)}`);
      return 0;
    },
  },
  {
    fault: "the database's disk is full",
    notHere: noLoopDisk,
    disk: 256,
    async act({ server, client, say }, _options, disk) {
      await under(client, async () => {
        const giveBack = await disk!.fill();
        const refused = (): number => client.answers.get('503') ?? 0;
        await until(() => refused() > 100, 'payments to be refused');
        await passes(3000);
        giveBack();
        const hasEnded = server.hasEnded;
        say(`  the server ${hasEnded ? 'has ended, and is started anew' : 'has gone on'}`);
        if (hasEnded) await server.launch();
        const before = client.accepted;
        await until(() => client.accepted > before, 'payments to be accepted again');
        await passes(2000);
      });
      return 0;
    },
  },
];

/** What becomes of a payment: 202 or 409, however often it has to be asked. */
async function decided(url: string, id: string, cents: number): Promise<number> {
  for (;;) {
    const body = `{"correlationId":"${id}","amount":${cents / 100}}`;
    const { status } = await fetch(`${url}/payments`, { method: 'POST', body }).catch(() => ({ status: 0 }));
    if (status === 202 || status === 409) return status;
    await passes(20);
  }
}

async function play(row: DatabaseRow, options: DatabaseRowOptions): Promise<number> {
  const { seed, version, say } = options;
  const binaries = postgresOf(version);
  await using disk = row.disk === undefined ? undefined : new LoopDisk(row.disk);
  await using server = await PostgresServer.start({
    binaries,
    ...(disk === undefined
      ? {}
      : { parent: disk.path, settings: { max_wal_size: '64MB', min_wal_size: '32MB' } }),
  });
  const processors = [await serveProcessor(0, 0), await serveProcessor(1, 0)] as const;
  const urls = processors.map(({ url }) => url) as [string, string];
  const start = (name: string, env: NodeJS.ProcessEnv = {}): Promise<RunningStack> =>
    startStack({
      env: {
        INSTANCE_PREFIX: `${name}-`,
        STORE_URL: server.url(),
        ATTEMPT_TIMEOUT_MS: '1500',
        PROCESSOR_DEFAULT_URL: urls[0],
        PROCESSOR_FALLBACK_URL: urls[1],
        ...env,
      },
    });
  await using one = await start('one');
  await using two = await start('two', row.env);
  await using door = await startProxy('hosts.cfg', {
    SOQUETE_HOST_1: `127.0.0.1:${one.port}`,
    SOQUETE_HOST_2: `127.0.0.1:${two.port}`,
  });
  const client = new Client(`http://127.0.0.1:${door.port}`, LANES, chance(seed), {
    twice: 0.05,
    otherAmount: 0,
  });
  const broken = await row.act({ server, hosts: [one, two], client, say }, options, disk);
  const disagreements = await auditHost(two.url, urls, client, line => say(`  ${line.trim()}`));
  await client.close();
  for (const processor of processors) await processor.close();
  return broken + disagreements;
}

/** Plays all rows whose name has `part` in it; resolves to the number of broken promises. */
export async function playDatabaseRows(part: string, options: DatabaseRowOptions): Promise<number> {
  let broken = 0;
  for (const row of ROWS.filter(({ fault }) => fault.includes(part))) {
    options.say(`${row.fault}${row.notHere === undefined ? '' : `: not done, ${row.notHere}`}`);
    if (row.notHere === undefined) broken += await play(row, options);
  }
  return broken;
}
