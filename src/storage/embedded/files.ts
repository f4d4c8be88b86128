/** The file system, as far as the logs need it: the real one here, a modelled one in the simulation. */
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';

export interface Files {
  makeDirectory(path: string): void;
  /** The names in a directory. */
  list(path: string): string[];
  /** Opens a file that must not exist yet, for writing. */
  create(path: string): number;
  /** Opens a file for reading. */
  open(path: string): number;
  /** Reads up to `length` bytes into `bytes`; returns how many there were. */
  read(fd: number, bytes: Uint8Array, length: number, position: number): number;
  /** Writes the first `length` of `bytes`; returns how many were taken. */
  write(fd: number, bytes: Uint8Array, length: number, position: number): number;
  truncate(fd: number, length: number): void;
  /** Has the disk take what was written. */
  sync(fd: number, done: (error: Error | null) => void): void;
  syncNow(fd: number): void;
  /** Has the disk take which files a directory holds. */
  syncDirectory(path: string): void;
  close(fd: number): void;
  /** Removes a file, if it is there. */
  remove(path: string): void;
}

export const realFiles: Files = {
  makeDirectory: path => mkdirSync(path, { recursive: true }),
  list: path => readdirSync(path),
  create: path => openSync(path, 'wx+'),
  open: path => openSync(path, 'r'),
  read: (fd, bytes, length, position) => readSync(fd, bytes, 0, length, position),
  write: (fd, bytes, length, position) => writeSync(fd, bytes, 0, length, position),
  truncate: ftruncateSync,
  sync: fdatasync,
  syncNow: fdatasyncSync,
  syncDirectory(path) {
    const fd = openSync(path, 'r');
    fsyncSync(fd);
    closeSync(fd);
  },
  close: closeSync,
  remove: path => rmSync(path, { force: true }),
};
