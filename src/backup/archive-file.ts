/**
 * A backup as a file: a tar of the index, the segments of the log behind it, and their checksums. What
 * `tar xf FILE && sha256sum -c SHA256SUMS` says of it, this checks as well.
 *
 *     soquete-backup.json   which version of the format, and when it was made
 *     payments.db           the index
 *     log/0000000007.log    each segment that holds what the index does not have
 *     SHA256SUMS            of all of them
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { UnusableSetting } from '../settings/grammar.ts';
import { readTarHeader, tarBlockBytes, tarHeader, tarPadding } from './tar.ts';

export const backupVersion = 1;
export const BACKUP_ABOUT = 'soquete-backup.json';
export const BACKUP_SUMS = 'SHA256SUMS';
export const BACKUP_INDEX = 'payments.db';
const SEGMENT = /^log\/\d{10}\.log$/;

const CHUNK_BYTES = 1024 * 1024;

export interface BackupAbout {
  readonly version: number;
  /** Wall clock, ms since 1970. */
  readonly madeAtMs: number;
  /** In the index. */
  readonly payments: number;
  readonly unsettled: number;
}

/** Writes the members of a backup one after the other, and their sums last. */
export class BackupWriter {
  readonly fd: number;
  readonly #madeAtMs: number;
  readonly #sums: string[] = [];

  /** `path` must not be there. Throws what the system says. */
  constructor(path: string, madeAtMs: number) {
    this.fd = openSync(path, 'wx', 0o600);
    this.#madeAtMs = madeAtMs;
  }

  /** The first `size` bytes that can be read from `source`. */
  add(name: string, source: number, size: number): void {
    const sum = createHash('sha256');
    this.#write(tarHeader(name, size, this.#madeAtMs));
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let at = 0; at < size; ) {
      const length = readSync(source, chunk, 0, Math.min(chunk.length, size - at), at);
      if (length === 0) throw new Error(`${name} is shorter than it was`);
      const read = chunk.subarray(0, length);
      sum.update(read);
      this.#write(read);
      at += length;
    }
    this.#write(Buffer.alloc(tarPadding(size)));
    this.#sums.push(`${sum.digest('hex')}  ${name}\n`);
  }

  addText(name: string, text: string): void {
    const bytes = Buffer.from(text);
    this.#write(tarHeader(name, bytes.length, this.#madeAtMs));
    this.#write(Buffer.concat([bytes, Buffer.alloc(tarPadding(bytes.length))]));
    this.#sums.push(`${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`);
  }

  /** The disk has all of it when this returns. */
  finish(): void {
    this.addText(BACKUP_SUMS, this.#sums.join(''));
    this.#write(Buffer.alloc(2 * tarBlockBytes));
    fsyncSync(this.fd);
  }

  close(): void {
    closeSync(this.fd);
  }

  #write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.fd, bytes, at, bytes.length - at);
  }
}

interface Member {
  readonly name: string;
  readonly at: number;
  readonly size: number;
  readonly sum: string;
}

/** A backup that was read to its end, and whose checksums are right. */
export class CheckedBackup {
  readonly about: BackupAbout;
  readonly bytes: number;
  readonly #fd: number;
  readonly #members: readonly Member[];

  /** Throws `UnusableSetting`, with one line that says what is wrong with the file. */
  constructor(path: string) {
    try {
      this.#fd = openSync(path, 'r');
    } catch (error) {
      throw new UnusableSetting(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
    try {
      this.#members = membersOf(this.#fd);
      this.about = this.#check();
      this.bytes = this.#members.reduce((sum, { size }) => sum + size, 0);
    } catch (error) {
      closeSync(this.#fd);
      const { message } = error as Error;
      throw new UnusableSetting(`${path} is no whole backup of soquete (${message}): take another one`);
    }
  }

  /** The segments, by their names in the log's folder. */
  get segments(): string[] {
    return this.#members.filter(({ name }) => SEGMENT.test(name)).map(({ name }) => name);
  }

  /** Writes one file of it to `path`, which must not be there; the disk has it when this returns. */
  extract(name: string, path: string): void {
    const { at, size } = this.#member(name);
    const target = openSync(path, 'wx', 0o600);
    try {
      eachChunk(this.#fd, at, size, chunk => {
        for (let done = 0; done < chunk.length; ) done += writeSync(target, chunk, done, chunk.length - done);
      });
      fsyncSync(target);
    } finally {
      closeSync(target);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  #check(): BackupAbout {
    const sums = this.#members
      .filter(({ name }) => name !== BACKUP_SUMS)
      .map(({ name, sum }) => `${sum}  ${name}\n`);
    if (this.#text(BACKUP_SUMS) !== sums.join(''))
      throw new Error('its checksums are not those of its files');
    const about = JSON.parse(this.#text(BACKUP_ABOUT)) as BackupAbout;
    if (about.version !== backupVersion)
      throw new Error(`it has version ${about.version}, this soquete knows ${backupVersion}`);
    this.#member(BACKUP_INDEX);
    for (const { name } of this.#members) {
      const isKnown = [BACKUP_ABOUT, BACKUP_SUMS, BACKUP_INDEX].includes(name) || SEGMENT.test(name);
      if (!isKnown) throw new Error(`it holds ${JSON.stringify(name)}`);
    }
    return about;
  }

  #member(name: string): Member {
    const found = this.#members.find(member => member.name === name);
    if (found === undefined) throw new Error(`it has no ${name}`);
    return found;
  }

  #text(name: string): string {
    const { at, size } = this.#member(name);
    const chunks: Buffer[] = [];
    eachChunk(this.#fd, at, size, chunk => void chunks.push(Buffer.from(chunk)));
    return Buffer.concat(chunks).toString();
  }
}

function membersOf(fd: number): Member[] {
  const members: Member[] = [];
  const header = Buffer.alloc(tarBlockBytes);
  for (let at = 0; ; ) {
    if (readSync(fd, header, 0, tarBlockBytes, at) < tarBlockBytes) throw new Error('its end is missing');
    const found = readTarHeader(header);
    if (found === undefined) return members;
    const { name, size } = found;
    at += tarBlockBytes;
    const sum = createHash('sha256');
    eachChunk(fd, at, size, chunk => sum.update(chunk));
    members.push({ name, size, at, sum: sum.digest('hex') });
    at += size + tarPadding(size);
  }
}

function eachChunk(fd: number, from: number, size: number, each: (chunk: Buffer) => void): void {
  const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, Math.max(size, 1)));
  for (let at = 0; at < size; ) {
    const length = readSync(fd, chunk, 0, Math.min(chunk.length, size - at), from + at);
    if (length === 0) throw new Error('its end is missing');
    each(chunk.subarray(0, length));
    at += length;
  }
}
