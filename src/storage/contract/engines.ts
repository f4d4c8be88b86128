/** The engines that the contract is asked of, each a whole deployment of its own for every sentence. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Clock } from '../../domain/clock.ts';
import type { StoredPayment } from '../../domain/payment.ts';
import { CALM_MS } from '../../domain/settlement.ts';
import { systemClock } from '../../system-clock.ts';
import { installedPostgres, type PostgresBinaries, PostgresServer } from '../../testing/postgres-server.ts';
import { installedRedis, type RedisProgram, RedisServer } from '../../testing/redis-server.ts';
import {
  type Asked,
  asked,
  attemptRow,
  type Fields,
  holdRow,
  idOf,
  markRow,
  put,
  settleRow,
} from '../../testing/stores.ts';
import { VirtualClock } from '../../testing/virtual-clock.ts';
import { unpackedIds } from '../archive/archive-line.ts';
import { ServerArchiveFolder } from '../archive/server-archive-folder.ts';
import { ServerArchiver } from '../archive/server-archiver.ts';
import type { StoreArchive } from '../archive/store-archive.ts';
import { Batch } from '../batch.ts';
import { archiveFolder } from '../embedded/archive/archive-folder.ts';
import type { ArchiveStep, ArchiveValues } from '../embedded/archive/archiver.ts';
import { EmbeddedStore } from '../embedded/embedded-store.ts';
import { InProcessIndexClient } from '../embedded/index/in-process-client.ts';
import type { IndexClient } from '../embedded/index/index-client.ts';
import { openMemoryIndex } from '../embedded/index/schema.ts';
import { logFolder } from '../embedded/index/tables.ts';
import { IndexThreadClient } from '../embedded/index/thread-client.ts';
import { INDEX_LAG } from '../embedded/indexing.ts';
import type { LogFiles } from '../embedded/shared-log/log-files.ts';
import { realLogFiles } from '../embedded/shared-log/real-log-files.ts';
import { VirtualLogFiles } from '../embedded/shared-log/virtual-log-files.ts';
import { MemoryState } from '../memory/state.ts';
import { MemoryStore } from '../memory/store.ts';
import { type Joined, type Reopening, type Store, StoreFault } from '../ports.ts';
import { PostgresStore } from '../postgres/postgres-store.ts';
import { parsePostgresUrl } from '../postgres/url.ts';
import { RedisStore } from '../redis/redis-store.ts';
import { parseRedisUrl } from '../redis/url.ts';
import { ASKS_FIRST_MS } from '../server-options.ts';

export interface OpenAs {
  /** The run of the machine, from 1. */
  readonly boot?: number;
  /** The disk was away. */
  readonly isDoubtful?: boolean;
  readonly isFlushing?: boolean;
}

export interface Deployment {
  /** A connection of an instance that has yet to join. */
  open(as?: OpenAs): Promise<Store & Reopening>;
  /** Begins what an engine does by itself every 100 ms: the embedded one indexes. */
  beginIndex(): void;
  /** Does that to its end, and as often as it takes to have nothing left to do. */
  index(): Promise<void>;
  close(): Promise<void>;
  /** Of an engine that has an archive on this machine. */
  readonly archive?: ArchiveOfDeployment;
}

export interface ArchiveOfDeployment {
  /** Archives what is older, until there is no more of that. */
  pass(values: ArchiveValues): Promise<void>;
  /** The ids in its files. */
  ids(): string[];
}

/** `isFar`: as the simulation has it, a store on another machine that may go back to an older state. */
function memory(isFar: boolean): Deployment {
  const state = new MemoryState();
  return {
    open: async ({ boot = 1, isDoubtful = false, isFlushing = false } = {}) =>
      new MemoryStore(state, {
        boot: String(boot),
        durable: isFlushing ? 'power' : 'process',
        ...(isDoubtful ? { lostTerm: 'unknown' } : {}),
        ...(isFar ? { doubt: { asksMs: ASKS_FIRST_MS, calmMs: CALM_MS, wallMs: Date.now } } : {}),
      }),
    beginIndex() {},
    async index() {},
    async close() {},
  };
}

interface EmbeddedWorld {
  readonly directory: string;
  readonly files: LogFiles;
  index(logDirectory: string): IndexClient;
  close(): void;
  readonly archive?: ArchiveOfDeployment;
}

function deploymentOf({ directory, files, index, close, archive }: EmbeddedWorld): Deployment {
  const logDirectory = join(directory, logFolder);
  const turned = new VirtualClock();
  const clock: Clock = {
    monotonicMs: () => turned.monotonicMs(),
    wallMs: () => 1_783_684_800_000 + turned.monotonicMs(),
    after: (delayMs, task) => turned.after(delayMs, task),
    soon: task => void turned.after(0, task),
  };
  const opened: EmbeddedStore[] = [];
  let nonce = 2 ** 40;
  return {
    async open({ boot = 1, isDoubtful = false, isFlushing = false } = {}) {
      const store = await EmbeddedStore.open({
        ...{ directory, logDirectory, files, clock, boot, isFlushing },
        index: index(logDirectory),
        isDiskDoubtful: isDoubtful,
        nonce: () => nonce++,
        events: {
          damaged: damage => assert.fail(`damaged: ${JSON.stringify(damage)}`),
          notIndexed: ({ detail }) => assert.fail(`not indexed: ${detail}`),
        },
      });
      opened.push(store);
      return store;
    },
    beginIndex: () => turned.pass(INDEX_LAG.ms),
    async index() {
      for (let round = 0; round < 3; round++) {
        turned.pass(INDEX_LAG.ms);
        // Behind the index in every queue.
        for (const store of opened) await new Promise<unknown>(asked => store.latest(1, asked));
      }
    },
    async close() {
      for (const store of opened) await new Promise(closed => store.leave(closed));
      close();
    },
    ...(archive && { archive }),
  };
}

function embedded(): Deployment {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-contract-'));
  const clients: IndexThreadClient[] = [];
  return deploymentOf({
    directory,
    files: realLogFiles,
    index: logDirectory => {
      clients.push(new IndexThreadClient({ directory, logDirectory }));
      return clients.at(-1)!;
    },
    close: () => rmSync(directory, { recursive: true }),
    archive: {
      async pass(values) {
        for (let isMore = true, sweeps = 2; isMore || sweeps > 0; sweeps -= 1) {
          const step = await new Promise<ArchiveStep | StoreFault>(done => clients[0]!.archive(values, done));
          if (step instanceof StoreFault) assert.fail(step.detail);
          isMore = step.isMore;
        }
      },
      ids: () => archivedIdsIn(join(directory, archiveFolder)),
    },
  });
}

function embeddedInMemory(): Deployment {
  const files = new VirtualLogFiles();
  const sync = files.sync.bind(files);
  files.sync = (fd, done) => {
    sync(fd, done);
    setImmediate(() => files.endSyncs());
  };
  const database = openMemoryIndex(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  return deploymentOf({
    directory: '/store',
    files,
    index: logDirectory =>
      new InProcessIndexClient({
        ...{ files, logDirectory, database: () => database },
        schedule: carryOut => setImmediate(() => setImmediate(carryOut())),
      }),
    close: () => database.close(),
  });
}

/** One server a version for all sentences of a file; each has a schema of its own in it. */
function postgres(binaries: PostgresBinaries): () => Deployment {
  let server: Promise<PostgresServer> | undefined;
  let schemas = 0;
  after(async () => (await server)?.[Symbol.asyncDispose]());
  return () => {
    // What is asked here is what it does, not what it survives.
    server ??= PostgresServer.start({ binaries, settings: { fsync: 'off', full_page_writes: 'off' } });
    schemas += 1;
    const schema = `store_${schemas}`;
    return onServer(async ({ boot = 1, isDoubtful = false, isFlushing = false }) => {
      const url = parsePostgresUrl((await server!).url('postgres', `schema=${schema}`))!;
      return PostgresStore.open({
        ...{ url, clock: systemClock, isDoubtful, application: 'contract', run: String(boot) },
        // A commit here waits for the disk, and none is lost when the server starts anew.
        ackAfter: isFlushing ? 'commit' : 'parse',
      });
    });
  };
}

type ServerStore = Store & Reopening & { readonly archive: StoreArchive };

/** An engine that indexes nothing behind, and closes what it has opened; its archive is on this host. */
function onServer(open: (as: OpenAs) => Promise<ServerStore>): Deployment {
  const opened: ServerStore[] = [];
  const directory = mkdtempSync(join(tmpdir(), 'soquete-contract-'));
  return {
    async open(as = {}) {
      const store = await open(as);
      opened.push(store);
      return store;
    },
    beginIndex() {},
    async index() {},
    async close() {
      for (const store of opened) await new Promise(closed => store.leave(closed));
      rmSync(directory, { recursive: true });
    },
    archive: {
      async pass([beforeMs, idsBeforeMs, exactFromMs]) {
        const archiver = new ServerArchiver(opened.at(-1)!.archive, new ServerArchiveFolder(directory));
        const [keptMs, idsKeptMs] = [1, beforeMs + 1 - idsBeforeMs];
        await archiver.pass({ keptMs, idsKeptMs, exactFromMs }, beforeMs + keptMs);
      },
      ids: () => archivedIdsIn(directory),
    },
  };
}

/** What the files of an archive have. */
export function archivedIdsIn(directory: string): string[] {
  const names = readdirSync(directory).filter(name => name.endsWith('.zst'));
  return names.flatMap(name => unpackedIds(readFileSync(join(directory, name))));
}

/** One server for all sentences of a file; each has a name of its own on it. */
function redis(program: RedisProgram): () => Deployment {
  let server: Promise<RedisServer> | undefined;
  let names = 0;
  after(async () => (await server)?.[Symbol.asyncDispose]());
  return () => {
    server ??= RedisServer.start({ program, settings: { appendonly: 'yes', appendfsync: 'always' } });
    names += 1;
    const parameters = `name=store_${names}`;
    return onServer(async ({ boot = 1, isDoubtful = false, isFlushing = false }) => {
      const url = parseRedisUrl((await server!).url(parameters))!;
      return RedisStore.open({
        ...{ url, clock: systemClock, isDoubtful, application: 'contract', run: String(boot) },
        ackAfter: isFlushing ? 'flush' : 'commit',
      });
    });
  };
}

type Engine = readonly [string, () => Deployment];

const FAR_MEMORY = 'memory far away';

export const engines: readonly [Engine, ...Engine[]] = [
  ['memory', () => memory(false)],
  [FAR_MEMORY, () => memory(true)],
  ['embedded', embedded],
  ['embedded in memory', embeddedInMemory],
  ...installedPostgres().map(each => [`PostgreSQL ${each.version}`, postgres(each)] as const),
  ...installedRedis().map(each => [each.name, redis(each)] as const),
];

function ask(
  engine: string,
  deploy: () => Deployment,
  sentence: string,
  check: (deployment: Deployment) => Promise<void>,
): void {
  test(`${engine}: ${sentence}`, async () => {
    const deployment = deploy();
    try {
      await check(deployment);
    } finally {
      await deployment.close();
    }
  });
}

/** Asks one sentence of every engine. */
export function promise(sentence: string, check: (deployment: Deployment) => Promise<void>): void {
  for (const [engine, deploy] of engines) ask(engine, deploy, sentence, check);
}

/** Asks one sentence of every engine on a server, which may lose anything. */
export function promiseOfServers(sentence: string, check: (deployment: Deployment) => Promise<void>): void {
  for (const [engine, deploy] of engines)
    if (!/^(?:memory|embedded)/.test(engine) || engine === FAR_MEMORY) ask(engine, deploy, sentence, check);
}

/** Asks one sentence of every engine that has an archive. */
export function promiseOfArchive(
  sentence: string,
  check: (deployment: Deployment, archive: ArchiveOfDeployment) => Promise<void>,
): void {
  for (const [engine, deploy] of engines)
    if (!/^(?:memory|embedded in)/.test(engine))
      ask(engine, deploy, sentence, deployment => check(deployment, deployment.archive!));
}

/** The rows of one batch. */
export class Rows {
  readonly batch: Batch;
  constructor(batch: Batch) {
    this.batch = batch;
  }

  readonly put = (n: number, fields?: Fields): void => put(this.batch, n, fields);
  readonly mark = (of: StoredPayment, fields?: Fields): void => markRow(this.batch, of, fields);
  readonly settle = (of: StoredPayment, fields?: Fields): void => settleRow(this.batch, of, fields);
  readonly hold = (of: StoredPayment, fields?: Fields): void => holdRow(this.batch, of, fields);
  readonly attempt = (of: StoredPayment, fields?: Fields): void => attemptRow(this.batch, of, fields);
}

/** An instance that has joined. */
export class MemberStore {
  readonly raw: Store & Reopening;
  readonly store: Asked;
  readonly joined: Joined;
  #batches = 0;

  constructor(raw: Store & Reopening, joined: Joined) {
    this.raw = raw;
    this.store = asked(raw);
    this.joined = joined;
  }

  /** A batch of what `fill` adds to it. */
  batch(fill: (rows: Rows) => void, generation = this.joined.generation): Batch {
    const batch = new Batch(this.joined.epoch, generation, 1);
    batch.number = ++this.#batches;
    fill(new Rows(batch));
    return batch;
  }

  /** Writes what `fill` adds to a batch; returns the results. */
  async write(fill: (rows: Rows) => void, generation?: number): Promise<number[]> {
    const { results } = await this.store.write(this.batch(fill, generation));
    return [...results];
  }

  /** The payment number `n`, which has to be there. */
  async payment(n: number): Promise<StoredPayment> {
    const found = await this.store.find(idOf(n));
    assert.ok(found !== undefined, `payment ${n} is not there`);
    return found;
  }

  async payments(...numbers: number[]): Promise<StoredPayment[]> {
    return Promise.all(numbers.map(n => this.payment(n)));
  }

  /** All that it has to settle and is not held. */
  owned(): Promise<StoredPayment[]> {
    return this.store.take(0, 1000);
  }
}

/** Opens a store and joins as `name`. */
export async function instance(deployment: Deployment, name: string, as?: OpenAs): Promise<MemberStore> {
  const store = await deployment.open(as);
  return new MemberStore(store, await asked(store).join(name));
}

/** Two instances that have joined, `a` and `b`. */
export async function two(deployment: Deployment): Promise<[MemberStore, MemberStore]> {
  return [await instance(deployment, 'a'), await instance(deployment, 'b')];
}

/** Has `by` declare an instance dead, whether it is or not. */
export async function declareDead(by: MemberStore, name: string): Promise<void> {
  const seen = (await by.store.look()).instances.find(each => each.name === name);
  assert.ok(seen !== undefined);
  assert.equal(await by.store.fence(name, seen.epoch, seen.beat), true);
}

export const unsettled = async ({ store }: MemberStore): Promise<Record<string, number>> =>
  Object.fromEntries((await store.look()).instances.map(each => [each.name, each.unsettled]));
