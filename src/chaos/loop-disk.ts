/**
 * A disk of its own for a store, which can be cut off: an ext4 file system in a file.
 *
 * Cutting it off is what ext4 itself offers for such tests (EXT4_IOC_SHUTDOWN without a flush of its
 * journal): from that moment on nothing more reaches the file, everyone who uses it gets EIO, and the next
 * mount finds what a disk has after a power loss. What a disk's own cache may lose beyond that is not
 * modelled.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { idBytes } from '../domain/payment.ts';
import { until } from '../testing/until.ts';

const MiB = 1024 * 1024;
const EMPTY = Buffer.alloc(4096);
/** Less than the half minute after which the kernel writes what nobody asked it to write. */
const TAKEN_MS_MAX = 25_000;
/**
 * _IOR('X', 125, __u32), and EXT4_GOING_FLAGS_NOLOGFLUSH; there is no ioctl in Node.js, but one in every
 * Perl.
 */
const SHUTDOWN =
  'open(my $f, "<", shift) or die $!; my $how = pack("L", 2); ioctl($f, 0x8004587D, $how) or die $!;';

/** Why there can be no such disk here; undefined: there can. */
export const noLoopDisk = whyNot();

export class LoopDisk {
  /** Where it is mounted. */
  readonly path: string;
  readonly #folder: string;
  readonly #image: string;

  readonly #bytes: number;

  /** Makes a disk of so many MiB and mounts it. */
  constructor(mebibytes = 256) {
    this.#bytes = mebibytes * MiB;
    this.#folder = mkdtempSync(join(tmpdir(), 'soquete-disk-'));
    // A database does not run as root.
    chmodSync(this.#folder, 0o755);
    this.#image = join(this.#folder, 'image');
    this.path = join(this.#folder, 'mounted');
    mkdirSync(this.path);
    writeFileSync(this.#image, '');
    truncateSync(this.#image, this.#bytes);
    run('mkfs.ext4', '-q', '-F', this.#image);
    this.#mount();
  }

  /** Takes all its space; resolves to what gives it back. */
  async fill(): Promise<() => void> {
    const path = join(this.path, 'fills');
    await assert.rejects(writeFile(path, new Uint8Array(this.#bytes)), { code: 'ENOSPC' });
    return () => rmSync(path);
  }

  /**
   * Waits until each of `ids` is on the disk, in whichever file. Nothing here has it written, and left to
   * itself the kernel would take half a minute.
   */
  async takes(ids: Iterable<string>): Promise<void> {
    const missing = new Set(ids);
    const areThere = (): boolean => {
      const data = this.#data();
      for (const id of missing) if (data.includes(idBytes(id)!)) missing.delete(id);
      return missing.size === 0;
    };
    await until(areThere, () => `${missing.size} payments to be on the disk`, TAKEN_MS_MAX);
  }

  /** From now on nothing reaches it any more. */
  cutOff(): void {
    run('perl', '-e', SHUTDOWN, this.path);
  }

  /** Mounts what it had taken, as soon as nobody uses it any more. */
  async bringBack(): Promise<void> {
    await this.#unmount();
    // While it is mounted in any other namespace, the kernel would give back the file system that was cut
    // off.
    const again = `${this.#image}-again`;
    run('cp', '--sparse=always', this.#image, again);
    renameSync(again, this.#image);
    this.#mount();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unmount();
    rmSync(this.#folder, { recursive: true });
  }

  /** What the disk holds, without the blocks that are empty. */
  #data(): Buffer {
    const image = readFileSync(this.#image);
    const blocks: Buffer[] = [];
    for (let at = 0; at < image.length; at += EMPTY.length) {
      const block = image.subarray(at, at + EMPTY.length);
      if (!block.equals(EMPTY)) blocks.push(block);
    }
    return Buffer.concat(blocks);
  }

  #mount(): void {
    run('mount', '-o', 'loop', this.#image, this.path);
  }

  async #unmount(): Promise<void> {
    await until(() => isDone('umount', this.path), `nobody to use ${this.path}`);
  }
}

/** A command under which the kernel seems to have started anew. */
export function bootedAnew(folder: string): string[] {
  const name = join(folder, 'boot-id');
  writeFileSync(name, `${crypto.randomUUID()}\n`);
  const script = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"';
  return ['unshare', '--mount', 'sh', '-c', script, name];
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'it takes root on Linux to mount a disk';
  if (!existsSync('/dev/loop-control')) return 'there is no /dev/loop-control to mount a disk with';
  for (const command of ['mkfs.ext4', 'mount', 'perl']) {
    if (!isDone('which', command)) return `there is no ${command} to make a disk with`;
  }
  return isDone('unshare', '--mount', 'true') ? undefined : 'mounting is not allowed here';
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function isDone(command: string, ...args: string[]): boolean {
  try {
    run(command, ...args);
    return true;
  } catch {
    return false;
  }
}
