/**
 * The file system as far as the shared log needs it: the real one is `real-log-files`, tests have another.
 */

export interface LogFiles {
  makeDirectory(path: string): void;
  /** The names in a directory. */
  list(path: string): string[];
  /**
   * Puts a file with these bytes at `path`, whole or not at all; false: there is one already. Both are safe
   * from a power loss when this returns.
   */
  createWhole(path: string, bytes: Uint8Array): boolean;
  /** Opens a file to append to and to read. Throws `ENOENT` when there is none. */
  openToAppend(path: string): number;
  /**
   * Appends the first `length` of `bytes` with one call; returns how many were taken. No position is given:
   * the kernel puts them at the end as it is at that moment, whoever else appends.
   */
  append(fd: number, bytes: Uint8Array, length: number): number;
  /** Reads up to `length` bytes at `position` to `start` of `bytes`; returns how many there were. */
  read(fd: number, bytes: Uint8Array, start: number, length: number, position: number): number;
  /** Has the disk take what was appended. */
  sync(fd: number, done: (error: Error | null) => void): void;
  close(fd: number): void;
  /** Whether the open file is still the one at `path`. */
  isInPlace(fd: number, path: string): boolean;
  /** Removes a file, if it is there. */
  remove(path: string): void;
  /** Gives a file another name, safe from a power loss when this returns. */
  move(path: string, to: string): void;
  /** The kernel's number for the kind of file system that a path is on. */
  fileSystem(path: string): number;
}
