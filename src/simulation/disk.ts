/**
 * The modelled disk of the world, which all its backends share: the log's segments as bytes, and how many of
 * them the disk has. Each process has descriptors of its own, which die with it, and with the disk when that
 * is taken out.
 */
import { basename } from 'node:path';
import type { LogFiles } from '../storage/embedded/shared-log/log-files.ts';
import type { Dice } from './dice.ts';
import type { EventLoop, Process } from './event-loop.ts';

/** What the system says of a call that failed. */
class DiskError extends Error {
  override name = 'DiskError';
  readonly code: string;
  readonly syscall: string;

  constructor(code: 'EIO' | 'ENOENT' | 'ENOSPC' | 'EMFILE', call: string) {
    super(`${code}: the modelled disk, ${call}`);
    this.code = code;
    this.syscall = call;
  }
}

/** A process is killed in the middle of a call: nothing of it goes on, so nothing catches this. */
export class KilledInCall extends Error {
  override name = 'KilledInCall';
}

interface File {
  bytes: Uint8Array;
  length: number;
  /** So many bytes of it are the disk's. */
  syncedLength: number;
}

/** A file as a process has it open. */
interface Opened {
  readonly file: File;
  readonly process: Process | undefined;
  /** When the disk is taken out, it is dead, also once that is back. */
  readonly mount: number;
}

/** What goes wrong, asked at each call. */
export interface DiskFaults {
  /**
   * A write is refused; a part of it may have been taken, and its writer be killed then (`cut`), or others
   * may look at that part (`half`).
   */
  write(): 'none' | 'refused' | 'torn' | 'cut' | 'half';
  /** Called before the kernel takes a write: others may come first. */
  beforeWrite(): void;
  /** Called when a part of a write can be read. */
  onHalf(): void;
  /** Kills the writer. */
  kill(): void;
  /** The disk cannot be reached from this process. */
  isAway(): boolean;
  create(): 'ENOSPC' | 'EMFILE' | undefined;
  sync(): boolean;
  syncMs(): number;
  /** No descriptor is to be had. */
  open(): boolean;
}

const NO_FAULTS: DiskFaults = {
  write: () => 'none',
  beforeWrite() {},
  onHalf() {},
  kill() {},
  isAway: () => false,
  create: () => undefined,
  sync: () => false,
  syncMs: () => 0,
  open: () => false,
};

export class Disk {
  isOut = false;
  /** Rises whenever it is taken out. */
  mount = 1;
  /** Called after each append. */
  appended: () => void = () => {};
  readonly #files = new Map<string, File>();
  readonly #open = new Map<number, Opened>();
  #nextFd = 3;

  /** The disk as one process sees it; undefined: as an observer does whom no fault concerns. */
  filesOf(process: Process | undefined, eventLoop: EventLoop, faults: DiskFaults = NO_FAULTS): LogFiles {
    const assertIn = (call: string): void => {
      // What a process that was killed had still in hand never happens.
      if (process?.alive === false || faults.isAway()) throw new DiskError('EIO', call);
      if (this.isOut && process !== undefined) throw new DiskError('EIO', call);
    };
    const opened = (fd: number): File => {
      if (process?.alive === false || faults.isAway()) throw new DiskError('EIO', 'read');
      const found = this.#open.get(fd);
      if (found === undefined) throw new Error(`EBADF: descriptor ${fd} is not open`);
      if (found.mount !== this.mount && process !== undefined) throw new DiskError('EIO', 'read');
      return found.file;
    };
    return {
      makeDirectory() {},
      list: () => {
        assertIn('scandir');
        if (faults.open()) throw new DiskError('EMFILE', 'scandir');
        return [...this.#files.keys()];
      },
      createWhole: (path, bytes) => {
        assertIn('open');
        const refused = faults.create();
        if (refused !== undefined) throw new DiskError(refused, 'open');
        const name = basename(path);
        if (this.#files.has(name)) return false;
        this.#files.set(name, { bytes: bytes.slice(), length: bytes.length, syncedLength: bytes.length });
        return true;
      },
      openToAppend: path => {
        assertIn('open');
        if (faults.open()) throw new DiskError('EMFILE', 'open');
        const file = this.#files.get(basename(path));
        if (file === undefined) throw new DiskError('ENOENT', 'open');
        const fd = this.#nextFd++;
        this.#open.set(fd, { file, process, mount: this.mount });
        return fd;
      },
      append: (fd, bytes, length) => {
        faults.beforeWrite();
        if (process?.alive === false) throw new KilledInCall();
        const file = opened(fd);
        const fault = faults.write();
        if (fault === 'refused') throw new DiskError('ENOSPC', 'write');
        const part = Math.max(1, length - 16);
        const taken = fault === 'torn' || fault === 'cut' ? part : length;
        if (fault === 'half') {
          put(file, bytes.subarray(0, part));
          faults.onHalf();
          put(file, bytes.subarray(part, length));
        } else put(file, bytes.subarray(0, taken));
        this.appended();
        if (fault === 'cut') {
          faults.kill();
          throw new KilledInCall();
        }
        return taken;
      },
      read: (fd, bytes, start, length, position) => {
        const file = opened(fd);
        const count = Math.max(0, Math.min(length, file.length - position));
        bytes.set(file.bytes.subarray(position, position + count), start);
        return count;
      },
      sync: (fd, done) => {
        const file = opened(fd);
        const { length } = file;
        const { mount } = this;
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
      close: fd => {
        if (!this.#open.delete(fd) && process?.alive !== false)
          throw new Error(`EBADF: descriptor ${fd} is not open`);
      },
      isInPlace: (fd, path) => opened(fd) === this.#files.get(basename(path)),
      remove: path => {
        assertIn('unlink');
        this.#files.delete(basename(path));
      },
      move: (path, to) => {
        assertIn('rename');
        const file = this.#files.get(basename(path));
        if (file === undefined) throw new DiskError('ENOENT', 'rename');
        this.#files.delete(basename(path));
        this.#files.set(basename(to), file);
      },
      fileSystem: () => 0xef53,
    };
  }

  /** Some bytes of the log become others; false: there were too few. */
  damage(dice: Dice): boolean {
    // A store on another machine has none here.
    if (this.#files.size === 0) return false;
    const file = dice.pick([...this.#files.values()]);
    // Not the header, and not what would only look cut short.
    const from = file.length - dice.whole(0, 1500);
    if (from < 32 || from + 40 > file.length) return false;
    for (let at = from; at < from + 24; at++) file.bytes[at] = dice.whole(1, 255);
    return true;
  }

  /** What all its files hold. */
  copy(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#files].map(([name, { bytes, length }]) => [name, bytes.slice(0, length)]));
  }

  /** Holds these files and no others. */
  replace(files: ReadonlyMap<string, Uint8Array>): void {
    this.#files.clear();
    for (const [name, bytes] of files)
      this.#files.set(name, { bytes: bytes.slice(), length: bytes.length, syncedLength: bytes.length });
  }

  /** A process has ended. */
  closeAll(process: Process): void {
    for (const [fd, { process: owner }] of this.#open) if (owner === process) this.#open.delete(fd);
  }

  /** Another disk, and nothing on it. */
  clear(): void {
    this.#files.clear();
    this.#open.clear();
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
    for (const file of this.#files.values()) {
      const { syncedLength, length } = file;
      // What was not synced may be there, be missing, or be there as zeros.
      const keeps = dice.whole(0, 2);
      if (keeps === 0) file.length = syncedLength;
      else if (keeps === 1) file.bytes.fill(0, syncedLength, length);
      else file.length = dice.whole(syncedLength, length);
      file.syncedLength = file.length;
    }
  }
}

function put(file: File, bytes: Uint8Array): void {
  const end = file.length + bytes.length;
  if (end > file.bytes.length) {
    const grown = new Uint8Array(Math.max(end, file.bytes.length * 2));
    grown.set(file.bytes.subarray(0, file.length));
    file.bytes = grown;
  }
  file.bytes.set(bytes, file.length);
  file.length = end;
}
