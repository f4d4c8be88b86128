/**
 * Moves settled payments that are old out of the index into files, in small transactions:
 *
 *     BEGIN ──> lines to the end of the day's file, fsync
 *           ──> rows out, ids in, totals, the file's length ──> COMMIT
 *
 * The index says how long each file is. A crash before the commit leaves a file that is longer, and the rows
 * where they were: what stands behind the known end is taken out of the file before it goes on. So each
 * payment has one line, and each line is on the disk before its row goes. Two processes that archive at once
 * wait for each other's transactions.
 */
import { createHash, type Hash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { zstdCompressSync } from 'node:zlib';
import { SETTLED } from '../../../domain/payment.ts';
import {
  type ArchivedAct,
  type ArchivedAttempt,
  type ArchivedRow,
  archiveFileName,
  archiveLine,
  dayStart,
  dayText,
} from '../../archive/archive-line.ts';
import { TotalsSum } from '../../rollups.ts';
import { inObjects, lazyStatements } from '../index/statements.ts';
import type { ArchiveFolder } from './archive-folder.ts';

/** Rows that one transaction looks at: some 6 ms of processor time beside millions of others, and a flush. */
const ROWS = 100;
/** Ids that one step looks at for being too old. */
const SWEEP_IDS = 5000;
/** A file that has come so far is full: the day goes on in another one. */
const FILE_BYTES_MAX = 32 * 1024 * 1024;

export interface ArchiveStep {
  readonly archived: number;
  readonly forgotten: number;
  /** There may be more to archive at once. */
  readonly isMore: boolean;
}

/** Archive what was settled before, forget ids requested before, and keep windows exact that begin here. */
export type ArchiveValues = [beforeMs: number, idsBeforeMs: number, exactFromMs: number];

export interface ArchiverOptions {
  readonly fileBytesMax?: number;
  /** Called in front of each step of a transaction, for tests: what it throws is a crash there. */
  readonly at?: (step: 'append' | 'delete' | 'commit' | 'sums') => void;
}

interface DayFile {
  readonly day: string;
  readonly part: number;
  readonly bytes: number;
}

export class Archiver {
  readonly #database: DatabaseSync;
  readonly #folder: ArchiveFolder;
  readonly #options: ArchiverOptions;
  readonly #statements: ReturnType<typeof archivingOf>;
  /** Where the pass stands: rows up to it stay, or are gone. */
  #afterSeq = Number.MIN_SAFE_INTEGER;
  #sweptTo: Uint8Array = new Uint8Array(0);
  /** Of the files that grow: what was hashed so far. */
  readonly #hashes = new Map<string, { hash: Hash; bytes: number }>();

  constructor(database: DatabaseSync, folder: ArchiveFolder, options: ArchiverOptions = {}) {
    this.#database = database;
    this.#folder = folder;
    this.#options = options;
    this.#statements = archivingOf(database);
  }

  /**
   * Archives some of the payments that were settled before `beforeMs`, and forgets some of the archived ids
   * that were requested before `idsBeforeMs`. Throws what SQLite and the file system do; a transaction of it
   * is then done as a whole or not at all.
   */
  step(beforeMs: number, idsBeforeMs = Number.NEGATIVE_INFINITY, exactFromMs = 0): ArchiveStep {
    const { archived, isMore } = this.#transaction(() => this.#archive(beforeMs, exactFromMs));
    const forgotten = Number.isFinite(idsBeforeMs) ? this.#transaction(() => this.#forget(idsBeforeMs)) : 0;
    if (!isMore && this.#statements.anyGrown.get() !== undefined) this.#transaction(() => this.#writeSums());
    return { archived, forgotten, isMore };
  }

  /** Whether the round over all archived ids is not at its end. */
  get isSweeping(): boolean {
    return this.#sweptTo.length > 0;
  }

  #archive(beforeMs: number, exactFromMs: number): { archived: number; isMore: boolean } {
    const { last: lastOf, due: dueOf } = this.#statements;
    const last = lastOf.get(this.#afterSeq, ROWS - 1) as { seq: number; accepted_at: number } | undefined;
    const lastSeq = last?.seq ?? Number.MAX_SAFE_INTEGER;
    const due = dueOf.all(this.#afterSeq, lastSeq, beforeMs) as unknown as ArchivedRow[];
    for (const [day, ofDay] of Map.groupBy(due, row => dayText(row.requested_at))) this.#append(day, ofDay);
    if (due.length > 0) this.#options.at?.('delete');
    for (const row of due) this.#move(row);
    this.#sumByDay(due, exactFromMs);
    // Behind one that was accepted too late are those that came later.
    const isMore = last !== undefined && last.accepted_at < beforeMs;
    this.#afterSeq = isMore ? last.seq : Number.MIN_SAFE_INTEGER;
    return { archived: due.length, isMore };
  }

  #append(day: string, rows: readonly ArchivedRow[]): void {
    const { attempts, acts, putFile } = this.#statements;
    const lines = rows.map(row =>
      archiveLine(
        row,
        attempts.all(row.id) as unknown as ArchivedAttempt[],
        acts.all(row.id) as unknown as ArchivedAct[],
      ),
    );
    const frame = zstdCompressSync(lines.join(''));
    const { part, bytes } = this.#fileOf(day);
    const name = archiveFileName(day, part);
    this.#options.at?.('append');
    this.#folder.append(name, bytes, frame);
    const hashed = bytes === 0 ? { hash: createHash('sha256'), bytes: 0 } : this.#hashes.get(name);
    if (hashed?.bytes === bytes)
      this.#hashes.set(name, { hash: hashed.hash.update(frame), bytes: bytes + frame.length });
    putFile.run(day, part, bytes + frame.length, lines.length);
  }

  /** The file that a day goes on in: not one that is full, nor one that was taken away. */
  #fileOf(day: string): DayFile {
    const last = this.#statements.lastFile.get(day) as DayFile | undefined;
    if (last === undefined) return { day, part: 1, bytes: 0 };
    const { fileBytesMax = FILE_BYTES_MAX } = this.#options;
    const isThere = this.#folder.size(archiveFileName(day, last.part)) >= last.bytes;
    return isThere && last.bytes < fileBytesMax ? last : { day, part: last.part + 1, bytes: 0 };
  }

  #move(row: ArchivedRow): void {
    const { putId, deletePayment, deleteAttempts, deleteActs } = this.#statements;
    putId.run(
      row.id,
      row.cents,
      row.processor,
      row.requested_at,
      row.requested_at - row.accepted_at,
      row.attempts,
    );
    deleteAttempts.run(row.id);
    deleteActs.run(row.id);
    deletePayment.run(row.seq);
  }

  /** What is archived counts from now on as requested at the beginning of its day, or of the audit in it. */
  #sumByDay(due: readonly ArchivedRow[], exactFromMs: number): void {
    const { total, deleteEmpty } = this.#statements;
    const [exact, ofDays] = [new TotalsSum(), new TotalsSum()];
    for (const { processor, requested_at: atMs, cents } of due) {
      exact.add(processor, atMs, cents);
      const start = dayStart(atMs);
      ofDays.add(processor, atMs < exactFromMs ? start : Math.max(start, exactFromMs), cents);
    }
    ofDays.each((level, bucket, processor, { count, high, low }) => {
      total.run(level, bucket, processor, count, high, low);
    });
    exact.each((level, bucket, processor, { count, high, low }) => {
      total.run(level, bucket, processor, -count, -high, -low);
      deleteEmpty.run(level, bucket, processor);
    });
  }

  /** In the order of the ids, so that no index by time has to be kept: round and round. */
  #forget(idsBeforeMs: number): number {
    const { ids, deleteId, deleteActs } = this.#statements;
    const found = ids.all(this.#sweptTo, SWEEP_IDS) as unknown as { id: Uint8Array; requested_at: number }[];
    const old = found.filter(({ requested_at }) => requested_at < idsBeforeMs);
    for (const { id } of old) {
      deleteId.run(id);
      // Of one that was sent to its processor again since.
      deleteActs.run(id);
    }
    this.#sweptTo = found.length < SWEEP_IDS ? new Uint8Array(0) : found.at(-1)!.id;
    return old.length;
  }

  /** Says in `SHA256SUMS` what each file has to be that has grown since. */
  #writeSums(): void {
    const grown = this.#statements.grown.all() as unknown as DayFile[];
    this.#options.at?.('sums');
    const sums = new Map<string, string>();
    for (const line of this.#folder.sums().split('\n'))
      if (line !== '') sums.set(line.slice(66), line.slice(0, 64));
    for (const { day, part, bytes } of grown) {
      const name = archiveFileName(day, part);
      this.#statements.summed.run(day, part);
      if (this.#folder.size(name) >= bytes) sums.set(name, this.#hashOf(name, bytes));
    }
    // Those of other days hardly ever grow again.
    const growing = new Set(grown.map(({ day, part }) => archiveFileName(day, part)));
    for (const name of this.#hashes.keys()) if (!growing.has(name)) this.#hashes.delete(name);
    const lines = [...sums].sort(([one], [other]) => (one < other ? -1 : 1));
    this.#folder.putSums(lines.map(([name, sum]) => `${sum}  ${name}\n`).join(''));
  }

  #hashOf(name: string, bytes: number): string {
    let known = this.#hashes.get(name);
    if (known?.bytes !== bytes)
      known = { hash: createHash('sha256').update(this.#folder.read(name, bytes)), bytes };
    this.#hashes.set(name, known);
    return known.hash.copy().digest('hex');
  }

  #transaction<T>(work: () => T): T {
    const database = this.#database;
    database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#options.at?.('commit');
      database.exec('COMMIT');
      return result;
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      // The files may be further than what is known of them.
      this.#hashes.clear();
      this.#afterSeq = Number.MIN_SAFE_INTEGER;
      throw error;
    }
  }
}

export const archivingOf = lazyStatements({
  last: inObjects('SELECT seq, accepted_at FROM payments WHERE seq > ? ORDER BY seq LIMIT 1 OFFSET ?'),
  due: inObjects(
    `SELECT seq, id, cents, accepted_at, processor, requested_at, attempts, settled_at
       FROM payments WHERE seq > ? AND seq <= ? AND state = ${SETTLED} AND max(requested_at, settled_at) < ?
       ORDER BY seq`,
  ),
  attempts: inObjects(
    `SELECT n, ended_at, processor, requested_at, outcome, duration_ms FROM attempts WHERE id = ?
       ORDER BY n, ended_at`,
  ),
  acts: inObjects('SELECT at, kind, who, text FROM acts WHERE id = ? ORDER BY n'),
  putId: inObjects('INSERT INTO archived VALUES (?, ?, ?, ?, ?, ?)'),
  deletePayment: inObjects('DELETE FROM payments WHERE seq = ?'),
  deleteAttempts: inObjects('DELETE FROM attempts WHERE id = ?'),
  deleteActs: inObjects('DELETE FROM acts WHERE id = ?'),
  total: inObjects(
    `INSERT INTO totals VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
       SET count = count + excluded.count, high = high + excluded.high, low = low + excluded.low`,
  ),
  deleteEmpty: inObjects('DELETE FROM totals WHERE level = ? AND bucket = ? AND processor = ? AND count = 0'),
  ids: inObjects('SELECT id, requested_at FROM archived WHERE id > ? ORDER BY id LIMIT ?'),
  deleteId: inObjects('DELETE FROM archived WHERE id = ?'),
  lastFile: inObjects('SELECT day, part, bytes FROM archive_files WHERE day = ? ORDER BY part DESC LIMIT 1'),
  putFile: inObjects(
    `INSERT INTO archive_files VALUES (?, ?, ?, ?, 0) ON CONFLICT DO UPDATE
       SET bytes = excluded.bytes, lines = lines + excluded.lines`,
  ),
  anyGrown: inObjects('SELECT 1 FROM archive_files WHERE summed <> bytes LIMIT 1'),
  grown: inObjects('SELECT day, part, bytes FROM archive_files WHERE summed <> bytes'),
  summed: inObjects('UPDATE archive_files SET summed = bytes WHERE day = ? AND part = ?'),
});
