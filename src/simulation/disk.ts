/**
 * A modelled disk for the logs: what was written is the kernel's, and survives a process; what was synced is
 * the disk's, and survives a power loss. Of what only the kernel has, a power loss leaves anything or
 * nothing.
 */
import { basename } from 'node:path';
import type { Files } from '../storage/embedded/files.ts';
import { decodeHeader, decodeRecords, HEADER_BYTES, segmentOf } from '../storage/embedded/log-format.ts';
import type { LoggedPayment } from '../storage/memory/store.ts';
import type { Dice } from './dice.ts';
import type { EventLoop, Process } from './event-loop.ts';

/** An error of the modelled disk: a process that does not expect one dies of it. */
class DiskError extends Error {
  override name = 'DiskError';
  readonly code: string;
  readonly syscall: string;

  constructor(code: 'EIO' | 'ENOENT' | 'ENOSPC', call: string) {
    super(`${code}: the modelled disk, ${call}`);
    this.code = code;
    this.syscall = call;
  }
}

/** A file as a process has it open. */
interface Opened {
  readonly file: File;
  /** When the disk is taken out, it is dead, also once that is back. */
  readonly mount: number;
}

interface File {
  bytes: Uint8Array;
  length: number;
  /** So many bytes of it are the disk's. */
  syncedLength: number;
  /** The disk knows its name. */
  named: boolean;
}

/** What goes wrong, asked at each call. */
export interface DiskFaults {
  /** A write is refused; a part of it may have been taken. */
  write(): 'none' | 'refused' | 'torn';
  create(): boolean;
  truncate(): boolean;
  sync(): boolean;
  syncMs(): number;
}

export class Disk {
  /** Rises with every change, so that a follower need not look where nothing changed. */
  version = 0;
  isOut = false;
  /** Rises whenever it is taken out. */
  mount = 1;
  readonly #files = new Map<string, File>();
  readonly #open = new Map<number, Opened>();
  #nextFd = 3;

  /** The disk as one process sees it. */
  filesOf(process: Process, eventLoop: EventLoop, faults: DiskFaults): Files {
    const { openedAs, filesByFd, change, assertIn } = this.#access();
    return {
      makeDirectory() {},
      list: () => {
        assertIn('scandir');
        return [...this.#files.keys()];
      },
      create: path => {
        assertIn('open');
        if (faults.create()) throw new DiskError('ENOSPC', 'open');
        const name = basename(path);
        if (this.#files.has(name)) throw new Error(`${name} exists`);
        const file = { bytes: new Uint8Array(1024), length: 0, syncedLength: 0, named: false };
        this.#files.set(name, file);
        change();
        return this.#newFd(file);
      },
      open: path => {
        assertIn('open');
        const file = this.#files.get(basename(path));
        if (file === undefined) throw new DiskError('ENOENT', 'open');
        return this.#newFd(file);
      },
      read: (fd, bytes, length, position) => {
        const file = filesByFd(fd);
        const count = Math.max(0, Math.min(length, file.length - position));
        bytes.set(file.bytes.subarray(position, position + count));
        return count;
      },
      write: (fd, bytes, length, position) => {
        const file = filesByFd(fd);
        const fault = faults.write();
        if (fault === 'refused') throw new DiskError('ENOSPC', 'write');
        const taken = fault === 'torn' ? length - 16 : length;
        put(file, bytes.subarray(0, taken), position);
        change();
        return taken;
      },
      truncate: (fd, length) => {
        const file = filesByFd(fd);
        if (faults.truncate()) throw new DiskError('EIO', 'ftruncate');
        file.length = Math.min(file.length, length);
        file.syncedLength = Math.min(file.syncedLength, length);
        change();
      },
      sync: (fd, done) => {
        const { file, mount } = openedAs(fd);
        const { length } = file;
        const fails = faults.sync();
        eventLoop.after(faults.syncMs(), process, () => {
          if (fails || mount !== this.mount) {
            done(new DiskError('EIO', 'fdatasync'));
            return;
          }
          file.syncedLength = Math.max(file.syncedLength, Math.min(length, file.length));
          done(null);
        });
      },
      syncNow: fd => {
        const file = filesByFd(fd);
        file.syncedLength = file.length;
      },
      syncDirectory: () => {
        assertIn('fsync');
        for (const file of this.#files.values()) file.named = true;
      },
      close: fd => {
        if (!this.#open.delete(fd)) throw new Error(`EBADF: descriptor ${fd} is not open`);
      },
      remove: path => {
        assertIn('unlink');
        this.#files.delete(basename(path));
        change();
      },
    };
  }

  /** The records in the segments of `instance`, oldest first, as a replay finds them. */
  *logged(instance: string): Generator<LoggedPayment> {
    for (const name of [...this.#files.keys()].sort()) {
      if (segmentOf(name)?.instance !== instance) continue;
      const { bytes, length } = this.#files.get(name)!;
      const header = decodeHeader(bytes.subarray(0, length));
      if (header === undefined) continue;
      const found: LoggedPayment[] = [];
      decodeRecords(bytes, HEADER_BYTES, length, (source, at, cents, acceptedAtMs) => {
        found.push({ ...header, id: source.slice(at, at + 16), cents, acceptedAtMs });
      });
      yield* found;
    }
  }

  /** The machine loses its power. */
  losePower(dice: Dice): void {
    this.#open.clear();
    this.#loseUnsynced(dice);
  }

  /** It is taken out while processes use it. */
  takeOut(dice: Dice): void {
    this.isOut = true;
    this.mount += 1;
    this.#loseUnsynced(dice);
  }

  #loseUnsynced(dice: Dice): void {
    this.version += 1;
    for (const [name, file] of this.#files) {
      if (!file.named && dice.hits(0.5)) {
        this.#files.delete(name);
        continue;
      }
      const { syncedLength, length } = file;
      // What was not synced may be there, be missing, or be there as zeros.
      const keeps = dice.whole(0, 2);
      if (keeps === 0) file.length = syncedLength;
      else if (keeps === 1) file.bytes.fill(0, syncedLength, length);
      else file.length = dice.whole(syncedLength, length);
    }
  }

  #newFd(file: File): number {
    const fd = this.#nextFd++;
    this.#open.set(fd, { file, mount: this.mount });
    return fd;
  }

  #access() {
    const openedAs = (fd: number): Opened => {
      const opened = this.#open.get(fd);
      if (opened === undefined) throw new Error(`EBADF: descriptor ${fd} is not open`);
      return opened;
    };
    return {
      openedAs,
      filesByFd: (fd: number): File => {
        const { file, mount } = openedAs(fd);
        if (mount !== this.mount) throw new DiskError('EIO', 'which was taken out');
        return file;
      },
      assertIn: (call: string): void => {
        if (this.isOut) throw new DiskError('EIO', call);
      },
      change: (): void => {
        this.version += 1;
      },
    };
  }
}

function put(file: File, bytes: Uint8Array, position: number): void {
  const end = position + bytes.length;
  if (end > file.bytes.length) {
    const grown = new Uint8Array(Math.max(end, file.bytes.length * 2));
    grown.set(file.bytes);
    file.bytes = grown;
  }
  file.bytes.set(bytes, position);
  file.length = Math.max(file.length, end);
}
