/**
 * Moves settled payments that are old out of a store on a server into files on this host:
 *
 *     a page of what is due ──> lines to the end of the day's file, fsync
 *                           ──> out of the store, with the file's length
 *
 * The last of these is one transaction of the store, which changes nothing unless the payments are there and
 * each file is as long as it was said to be. So the store knows of each file how much of it counts. What
 * stands behind that (of an archiver that was killed, or a store that went back to an older state) is set
 * aside before anything is written, and its payments are in the store still, or again. One process at a time
 * writes into a directory, by a lock of the kernel; one directory at a time has the archive of a store, by
 * the store's word.
 */
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import { takeName } from '../embedded/name-lock.ts';
import { NameTakenError, StoreOpenError } from '../ports.ts';
import { archiveFileName, archiveLine, dayText } from './archive-line.ts';
import { ArchiveRefused, ServerArchiveFolder } from './server-archive-folder.ts';
import type { DueFrom, DuePage, DuePayment, GrownFile, Retention, StoreArchive } from './store-archive.ts';

/** A file that has come so far is full: the day goes on in another one. */
const FILE_BYTES_MAX = 32 * 1024 * 1024;
/** Between two pages: others have their turn. */
const PAUSE_MS = 5;
const LOCK = 'archive';

export interface ArchivePass {
  readonly archived: number;
  readonly forgotten: number;
  /** Why nothing was done, for people: somebody else is at it. */
  readonly skipped: string | undefined;
}

export interface ServerArchiverOptions {
  readonly fileBytesMax?: number;
  readonly pauseMs?: number;
  /** Called in front of each step, for tests: what it throws is a crash there. */
  readonly at?: (step: 'append' | 'move' | 'sums') => void;
}

export class ServerArchiver {
  readonly #store: StoreArchive;
  readonly #folder: ServerArchiveFolder;
  readonly #options: ServerArchiverOptions;
  #sweptTo = 0;

  constructor(store: StoreArchive, folder: ServerArchiveFolder, options: ServerArchiverOptions = {}) {
    this.#store = store;
    this.#folder = folder;
    this.#options = options;
  }

  /**
   * Archives what is due at `nowMs` (wall clock). Throws `StoreFault`, `ArchiveRefused` and what the system
   * says; every page is then in the store or in the archive.
   */
  async pass({ keptMs, idsKeptMs, exactFromMs }: Retention, nowMs: number): Promise<ArchivePass> {
    const where = `${hostname()}:${resolve(this.#folder.path)}`;
    const none = (skipped: string): ArchivePass => ({ archived: 0, forgotten: 0, skipped });
    const lock = this.#lock();
    if (lock === undefined) return none(`another process writes into ${this.#folder.path}`);
    try {
      const keeper = await this.#folder.idFor(await this.#store.id());

      await this.#reconcile(keeper);
      const elsewhere = await this.#store.keep(keeper, where);
      if (elsewhere !== undefined)
        return none(`it is kept in ${elsewhere.where}, by somebody who was there ${elsewhere.agoMs} ms ago`);
      let archived = 0;
      for (let from: DueFrom | undefined = { is: 'late', after: '0' }; from !== undefined; ) {
        const page: DuePage = await this.#store.due(nowMs - keptMs, from);
        const files = await this.#append(keeper, page.payments);
        this.#options.at?.('move');
        if (!(await this.#store.move(keeper, page, files, exactFromMs))) break;
        archived += page.payments.length;
        from = page.next;
        if (from !== undefined) await sleep(this.#options.pauseMs ?? PAUSE_MS);
      }
      const forgotten = Number.isFinite(idsKeptMs) ? await this.#forget(nowMs - idsKeptMs) : 0;
      await this.#writeSums(keeper);
      return { archived, forgotten, skipped: undefined };
    } finally {
      lock.release();
    }
  }

  #lock(): { release(): void } | undefined {
    try {
      return takeName(this.#folder.path, LOCK);
    } catch (error) {
      if (error instanceof NameTakenError) return undefined;
      if (error instanceof StoreOpenError)
        throw new ArchiveRefused(error.message.replace('STORE_URL', 'ARCHIVE_DIR'));
      throw error;
    }
  }

  /** What the store does not know of goes out of the files. */
  async #reconcile(keeper: string): Promise<void> {
    const names = await this.#folder.names();
    const known = await this.#store.filesOf(names.map(name => pathOf(keeper, name)));
    for (const [at, name] of names.entries())
      if ((await this.#folder.size(name)) > known[at]!) await this.#folder.cut(name, known[at]!);
  }

  async #append(keeper: string, payments: readonly DuePayment[]): Promise<GrownFile[]> {
    const files: GrownFile[] = [];
    for (const [day, ofDay] of Map.groupBy(payments, ({ row }) => dayText(row.requested_at))) {
      const frame = zstdCompressSync(
        ofDay.map(({ row, attempts, acts }) => archiveLine(row, attempts, acts)).join(''),
      );
      const file = await this.#fileOf(keeper, day);
      this.#options.at?.('append');
      await this.#folder.append(file.name, file.before, frame);
      const path = pathOf(keeper, file.name);
      files.push({ ...file, name: path, day, bytes: file.before + frame.length });
    }
    return files;
  }

  /**
   * The file that a day goes on in: not one that is full, nor one that is in another directory or was taken
   * away.
   */
  async #fileOf(keeper: string, day: string): Promise<Pick<GrownFile, 'part' | 'name' | 'before'>> {
    const { fileBytesMax = FILE_BYTES_MAX } = this.#options;
    const [last] = await this.#store.filesOf([day]);
    if (last! > 0) {
      const name = archiveFileName(day, last!);
      const [before] = await this.#store.filesOf([pathOf(keeper, name)]);
      const isThere = before! > 0 && (await this.#folder.size(name)) >= before!;
      if (isThere && before! < fileBytesMax) return { part: last!, name, before: before! };
    }
    return { part: last! + 1, name: archiveFileName(day, last! + 1), before: 0 };
  }

  async #forget(idsBeforeMs: number): Promise<number> {
    let all = 0;
    do {
      const { forgotten, next } = await this.#store.forget(idsBeforeMs, this.#sweptTo);
      all += forgotten;
      this.#sweptTo = next;
      await sleep(this.#options.pauseMs ?? PAUSE_MS);
    } while (this.#sweptTo > 0);
    return all;
  }

  async #writeSums(keeper: string): Promise<void> {
    const prefix = pathOf(keeper, '');
    const grown = (await this.#store.grown())
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name, bytes }) => ({ name: name.slice(prefix.length), bytes }));
    if (grown.length === 0) return;
    this.#options.at?.('sums');
    const sizes = await Promise.all(grown.map(({ name }) => this.#folder.size(name)));
    const here = grown.filter(({ bytes }, at) => sizes[at]! >= bytes);
    await this.#folder.putSums(here);
    await this.#store.summed(here.map(({ name, bytes }) => ({ name: pathOf(keeper, name), bytes })));
  }
}

/** What a store calls a file: another directory may have one of that name, which the store never knew. */
const pathOf = (keeper: string, name: string): string => `${keeper}/${name}`;

/** Of a store, or of each cell of one, in files below a directory of this host. */
export const serverArchivers = (archives: readonly StoreArchive[], directory: string): ServerArchiver[] =>
  archives.map((archive, cell) => {
    const path = archives.length === 1 ? directory : join(directory, `cell-${cell}`);
    return new ServerArchiver(archive, new ServerArchiveFolder(path));
  });
