/** The store that `STORE_URL` names: the one place that knows the engines. */
import { readFileSync, statfsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../domain/clock.ts';
import { isSystemError } from '../domain/system-error.ts';
import type { AckAfter, StoreSetting } from '../settings/backend.ts';
import type { Retention, StoreArchive } from './archive/store-archive.ts';
import { type DiskFigures, DiskUse } from './disk-use.ts';
import { EmbeddedStore } from './embedded/embedded-store.ts';
import { findAgain } from './embedded/index/schema.ts';
import { logFolder } from './embedded/index/tables.ts';
import { IndexThreadClient } from './embedded/index/thread-client.ts';
import { forgetName, takeName } from './embedded/name-lock.ts';
import type { EmbeddedEvents } from './embedded/parts.ts';
import { crc32 } from './embedded/shared-log/crc32.ts';
import { realLogFiles } from './embedded/shared-log/real-log-files.ts';
import { refusalOfFileSystem } from './embedded/shared-log/segments.ts';
import { tailRowsMax } from './embedded/shared-log/tail-table.ts';
import type { Inspection } from './inspection.ts';
import { type DiskSpace, type Reopening, type Store, StoreFault, StoreOpenError } from './ports.ts';
import { describePostgresUrl, type PostgresUrl } from './postgres/url.ts';
import { describeRedisUrl, type RedisUrl } from './redis/url.ts';

export interface OpenOptions {
  readonly store: StoreSetting;
  readonly ackAfter: AckAfter;
  /** The name that is held there for as long as the store is open. */
  readonly instance: string;
  readonly clock: Clock;
  /** 0 to 1. */
  readonly chance: () => number;
  /** It is not made where it is missing, and may have been away. */
  readonly mustExist: boolean;
  readonly isDiskDoubtful: boolean;
  /** Default: all is kept for ever. */
  readonly retention?: Retention | undefined;
  /** Of this host, for what leaves a store on a server. */
  readonly archiveDirectory?: string;
  readonly events: EmbeddedEvents & {
    /** Nothing is archived. */
    readonly notArchived?: (detail: string) => void;
  };
}

export type OpenedStore = Store & Reopening & Inspection & SizedStore;

export interface SizedStore {
  /** What a 202 survives, for people; may change with the settings of a database. */
  readonly survives: string;
  /** Of its payments, in bytes. */
  size(): Promise<number>;
  /** Of its disk, if that is this machine's; undefined while it cannot be asked. */
  readonly space?: () => DiskSpace | undefined;
  /** Undefined: its disk is another machine's. */
  readonly disk?: (() => Promise<DiskFigures>) | undefined;
}

/** A database that is not there yet is waited for so long when a deployment starts. */
const DATABASE_MS = 10_000;
const AGAIN_MS = 500;

/** Rejects with `StoreOpenError`. */
export function openStore(options: OpenOptions): Promise<OpenedStore> {
  const { store } = options;
  if (store.is === 'sqlite') return openEmbedded(store.directory, options);
  return store.is === 'postgres' ? openPostgres(store.url, options) : openRedis(store.url, options);
}

// Each is read only where it is used: who has no database starts sooner.
async function openPostgres(url: PostgresUrl, options: OpenOptions): Promise<OpenedStore> {
  const { clock, instance, ackAfter } = options;
  const { PostgresStore } = await import('./postgres/postgres-store.ts');
  const as = { url, clock, instance, ackAfter, application: `soquete ${instance}` };
  const store = await whenThere(options, describePostgresUrl(url), () => PostgresStore.open(as));
  return archiving(store, [store.archive], options);
}

async function openRedis(url: RedisUrl, options: OpenOptions): Promise<OpenedStore> {
  const { clock, instance, ackAfter } = options;
  const { CellsStore } = await import('./redis/cells-store.ts');
  const { RedisStore } = await import('./redis/redis-store.ts');
  const as = { url, clock, instance, ackAfter, application: `soquete-${instance}` };
  const where = describeRedisUrl(url);
  if (url.cells !== undefined) {
    const store = await whenThere(options, where, () => CellsStore.open(as));
    return archiving(store, store.archives, options);
  }
  const store = await whenThere(options, where, () => RedisStore.open(as));
  return archiving(store, [store.archive], options);
}

/** Has what is old leave the store, until an instance leaves it. */
async function archiving<T extends Store>(
  store: T,
  archives: readonly StoreArchive[],
  { retention, archiveDirectory = './archive', clock, events }: OpenOptions,
): Promise<T> {
  if (retention === undefined) return store;
  const { ArchiveLoop } = await import('./archive/archive-loop.ts');
  const { serverArchivers } = await import('./archive/server-archiver.ts');
  const loops = serverArchivers(archives, archiveDirectory).map(
    archiver =>
      new ArchiveLoop({ archiver, retention, clock, failed: detail => events.notArchived?.(detail) }),
  );
  const leave = store.leave.bind(store);
  store.leave = reply => {
    for (const loop of loops) loop.stop();
    leave(reply);
  };
  return store;
}

async function whenThere<T>(
  { clock, mustExist }: OpenOptions,
  where: string,
  open: () => Promise<T>,
): Promise<T> {
  for (let waitedMs = 0; ; waitedMs += AGAIN_MS) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error;
      // The launcher waits for one that has been there, for as long as it takes.
      if (mustExist || waitedMs >= DATABASE_MS)
        throw new StoreOpenError(`STORE_URL: ${where}: ${error.detail}`);
      await new Promise<void>(resolve => clock.after(AGAIN_MS, resolve));
    }
  }
}

async function openEmbedded(directory: string, options: OpenOptions): Promise<OpenedStore> {
  const { mustExist, clock, chance, events } = options;
  const logDirectory = join(directory, logFolder);
  if (mustExist === false) {
    makeDirectory(directory);
    const refusal = refusalOfFileSystem(realLogFiles.fileSystem(directory));
    if (refusal !== undefined) throw new StoreOpenError(`STORE_URL: ${directory} ${refusal}`);
  }
  let isThere = mustExist;
  const store = await EmbeddedStore.open({
    takeName: () => {
      if (isThere) findAgain(directory);
      isThere = true;
      return takeName(directory, options.instance);
    },
    forgetName: name => forgetName(directory, name),
    directory,
    logDirectory,
    files: realLogFiles,
    index: new IndexThreadClient({ directory, logDirectory, mustExist }),
    clock,
    boot: thisBoot(),
    retention: options.retention,
    tailRowsMax: tailRowsMax(process.constrainedMemory()),
    isFlushing: options.ackAfter === 'flush',
    isDiskDoubtful: options.isDiskDoubtful,
    nonce: () => Math.floor(chance() * 2 ** 48),
    events,
  });
  const survives =
    options.ackAfter === 'flush' ? 'the power loss of its machine' : 'the death of all its processes';
  const disk = new DiskUse(directory, clock);
  return Object.assign(store, {
    survives,
    size: () => sizeOfIndex(directory),
    space: () => spaceAt(directory),
    disk: () => disk.figures(),
  });
}

async function sizeOfIndex(directory: string): Promise<number> {
  const path = join(directory, 'payments.db');
  const sizes = [path, `${path}-wal`].map(file =>
    stat(file).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

function spaceAt(path: string): DiskSpace | undefined {
  try {
    const { bsize, bavail, blocks } = statfsSync(path);
    return { free: bsize * bavail, total: bsize * blocks };
  } catch {
    return undefined;
  }
}

function makeDirectory(directory: string): void {
  try {
    realLogFiles.makeDirectory(directory);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new StoreOpenError(
      `STORE_URL: cannot use ${directory} (${error.code}): it has to be a directory that this user can write in`,
    );
  }
}

/**
 * Another after each start of the kernel; the same in all its containers. Where there is none, none is told
 * apart.
 */
function thisBoot(): number {
  let id: string;
  try {
    id = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    id = 'unknown';
  }
  const bytes = new TextEncoder().encode(id);
  return crc32(bytes, 0, bytes.length) || 1;
}
