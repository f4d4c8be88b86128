/**
 * A disk in memory for tests and the simulation: what the real one does, and each way in which it may fail.
 * One disk, many processes; time stands still while one of them is in a call, but `onHalf` lets the others
 * look at what an append has left so far, as a kernel may.
 */
import { strict as assert } from 'node:assert';
import type { LogFiles } from './log-files.ts';

interface VirtualFile {
  bytes: Uint8Array;
  length: number;
  /** So much of it would survive a power loss. */
  syncedLength: number;
}

/** A call that the disk refuses, as the system says it. */
export class VirtualDiskError extends Error {
  readonly code: string;
  readonly syscall = 'virtual';
  constructor(code: string) {
    super(`${code}: the virtual disk refuses`);
    this.code = code;
  }
}

export class VirtualLogFiles implements LogFiles {
  readonly #files = new Map<string, VirtualFile>();
  readonly #open = new Map<number, VirtualFile>();
  readonly #syncing: { file: VirtualFile; length: number; done: (error: Error | null) => void }[] = [];
  #fd = 3;
  /** Takes only so many bytes of the next append. */
  cutNextTo: number | undefined;
  /** The next append fails with this code. */
  failNext: string | undefined;
  /** Reading fails with this code. */
  failRead: string | undefined;
  /** Files cannot be opened, for the reason that this code says. */
  failOpen: string | undefined;
  /**
   * Called in the middle of the next append, when `halfOf` its bytes can be read; may throw to kill the
   * writer.
   */
  onHalf: (() => void) | undefined;
  halfOf = 0;
  type = 0xef53;

  /** How many descriptors are open. */
  get openFiles(): number {
    return this.#open.size;
  }

  makeDirectory(): void {}

  list(path: string): string[] {
    return [...this.#files.keys()]
      .filter(name => name.startsWith(`${path}/`))
      .map(name => name.slice(path.length + 1))
      .filter(name => !name.includes('/'));
  }

  createWhole(path: string, bytes: Uint8Array): boolean {
    if (this.#files.has(path)) return false;
    this.#files.set(path, { bytes: bytes.slice(), length: bytes.length, syncedLength: bytes.length });
    return true;
  }

  openToAppend(path: string): number {
    if (this.failOpen !== undefined) throw new VirtualDiskError(this.failOpen);
    const file = this.#files.get(path);
    if (file === undefined) throw new VirtualDiskError('ENOENT');
    const fd = this.#fd++;
    this.#open.set(fd, file);
    return fd;
  }

  append(fd: number, bytes: Uint8Array, length: number): number {
    const file = this.#file(fd);
    const { failNext, cutNextTo, onHalf } = this;
    this.failNext = undefined;
    this.cutNextTo = undefined;
    this.onHalf = undefined;
    if (failNext !== undefined) throw new VirtualDiskError(failNext);
    const taken = Math.min(length, cutNextTo ?? length);
    if (onHalf !== undefined) {
      const half = Math.min(this.halfOf, taken);
      put(file, bytes, 0, half);
      onHalf();
      put(file, bytes, half, taken);
    } else put(file, bytes, 0, taken);
    return taken;
  }

  read(fd: number, bytes: Uint8Array, start: number, length: number, position: number): number {
    if (this.failRead !== undefined) throw new VirtualDiskError(this.failRead);
    const file = this.#file(fd);
    const taken = Math.max(0, Math.min(length, file.length - position));
    bytes.set(file.bytes.subarray(position, position + taken), start);
    return taken;
  }

  /** Begins a sync, which ends when `endSyncs` is called. */
  sync(fd: number, done: (error: Error | null) => void): void {
    const file = this.#file(fd);
    this.#syncing.push({ file, length: file.length, done });
  }

  /** How many syncs have begun and not ended. */
  get syncing(): number {
    return this.#syncing.length;
  }

  /** `from`: how many of those that began first go on. */
  endSyncs(error: Error | null = null, from = 0): number {
    const ended = this.#syncing.splice(from);
    for (const { file, length, done } of ended) {
      if (error === null) file.syncedLength = Math.max(file.syncedLength, length);
      done(error);
    }
    return ended.length;
  }

  close(fd: number): void {
    assert(this.#open.delete(fd));
  }

  isInPlace(fd: number, path: string): boolean {
    return this.#file(fd) === this.#files.get(path);
  }

  remove(path: string): void {
    this.#files.delete(path);
  }

  move(path: string, to: string): void {
    const file = this.#files.get(path);
    if (file === undefined) throw new VirtualDiskError('ENOENT');
    this.#files.delete(path);
    this.#files.set(to, file);
  }

  fileSystem(): number {
    return this.type;
  }

  /**
   * Loses what was not synced, but for the first `kept` (0 to 1) of it. Nobody has a file open afterwards.
   */
  losePower(kept = 0): void {
    for (const file of this.#files.values()) {
      file.length = file.syncedLength + Math.floor((file.length - file.syncedLength) * kept);
      file.syncedLength = file.length;
    }
    this.#open.clear();
    this.#syncing.length = 0;
  }

  /** The bytes of a file as they are, to look at or to damage. */
  bytesOf(path: string): Uint8Array {
    const file = this.#files.get(path);
    assert(file !== undefined);
    return file.bytes.subarray(0, file.length);
  }

  #file(fd: number): VirtualFile {
    const file = this.#open.get(fd);
    if (file === undefined) throw new VirtualDiskError('EBADF');
    return file;
  }
}

function put(file: VirtualFile, bytes: Uint8Array, from: number, to: number): void {
  const end = file.length + to - from;
  if (end > file.bytes.length) {
    const grown = new Uint8Array(Math.max(end, file.bytes.length * 2));
    grown.set(file.bytes.subarray(0, file.length));
    file.bytes = grown;
  }
  file.bytes.set(bytes.subarray(from, to), file.length);
  file.length = end;
}
