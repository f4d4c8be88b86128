/** The directory of the archive's files. What is written is on the disk when a call returns. */

import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../../../make-directory.ts';
import { syncPath } from '../sync-path.ts';

/** Below the store's directory. */
export const archiveFolder = 'archive';
export const sumsFile = 'SHA256SUMS';
/** Below the archive: what stood behind the end that the index knows, named by where it was. */
const asideFolder = 'set-aside';

export interface ArchiveFolder {
  /** In bytes; 0 for a file that is not there. */
  size(name: string): number;
  /** Puts `bytes` at `at`, where the file has to end; what stands behind that is moved out of it. */
  append(name: string, at: number, bytes: Uint8Array): void;
  /** The first `length` bytes of a file. */
  read(name: string, length: number): Uint8Array;
  /** The text of `SHA256SUMS`, '' where there is none. */
  sums(): string;
  putSums(text: string): void;
}

/** The archive of the store in `directory`, made when something is put into it. Throws what files throw. */
export class RealArchiveFolder implements ArchiveFolder {
  readonly #path: string;

  constructor(directory: string) {
    this.#path = join(directory, archiveFolder);
  }

  size(name: string): number {
    return statSync(join(this.#path, name), { throwIfNoEntry: false })?.size ?? 0;
  }

  append(name: string, at: number, bytes: Uint8Array): void {
    const size = this.size(name);
    const path = join(this.#path, name);
    if (size > at) this.#setAside(name, at);
    const isNew = size === 0;
    if (isNew && makeDirectory(this.#path)) syncPath(join(this.#path, '..'));
    const fd = openSync(path, 'a+');
    try {
      if (size > at) ftruncateSync(fd, at);
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (isNew) syncPath(this.#path);
  }

  read(name: string, length: number): Uint8Array {
    return this.#read(name, 0, length);
  }

  sums(): string {
    try {
      return readFileSync(join(this.#path, sumsFile), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return '';
    }
  }

  putSums(text: string): void {
    writeSynced(join(this.#path, `${sumsFile}.new`), text);
    renameSync(join(this.#path, `${sumsFile}.new`), join(this.#path, sumsFile));
    syncPath(this.#path);
  }

  #read(name: string, from: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const fd = openSync(join(this.#path, name), 'r');
    try {
      for (let done = 0; done < length; ) {
        const count = readSync(fd, bytes, done, length - done, from + done);
        if (count === 0) return bytes.subarray(0, done);
        done += count;
      }
    } finally {
      closeSync(fd);
    }
    return bytes;
  }

  /** A killed archiver leaves it there, or somebody who put files of another copy of the store here. */
  #setAside(name: string, at: number): void {
    const folder = join(this.#path, asideFolder);
    makeDirectory(folder);
    const surplus = this.#read(name, at, this.size(name) - at);
    writeSynced(join(folder, `${name}.from-${at}`), surplus);
    syncPath(folder);
    syncPath(this.#path);
  }
}

function writeSynced(path: string, content: string | Uint8Array): void {
  writeFileSync(path, content, { flush: true });
}
