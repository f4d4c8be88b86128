/**
 * The archive's files of a store on a server, on this host. What is written is on the disk when a call
 * resolves, and the event loop waits for none. A file says whose they are.
 */
import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

const ownerFile = 'STORE';
const checksumsFile = 'SHA256SUMS';
const asideFolder = 'set-aside';
const isOfArchive = (name: string): boolean => name.endsWith('.ndjson.zst');

/** The directory cannot be used; the message is one line that says what to do. */
export class ArchiveRefused extends Error {
  override name = 'ArchiveRefused';
}

export class ServerArchiveFolder {
  readonly path: string;
  /** Of the files that grow: what was hashed so far. */
  readonly #hashes = new Map<string, { hash: Hash; bytes: number }>();

  /** It has to be there when it is used. */
  constructor(path: string) {
    this.path = path;
  }

  /** The archive's own id, made at first, and the store's that it belongs to. Throws `ArchiveRefused`. */
  async idFor(storeId: string): Promise<string> {
    const [keeper, owner] = (await this.#text(ownerFile)).split('\n');
    if (owner === storeId) return keeper!;
    if (owner !== undefined || (await this.names()).length > 0)
      throw new ArchiveRefused(
        `ARCHIVE_DIR: ${this.path} has the archive of another store: give this one another directory, or move that away`,
      );
    const made = randomUUID();
    await this.#put(ownerFile, `${made}\n${storeId}\n`);
    await syncDirectory(join(this.path, '..'));
    return made;
  }

  /** Its files, in order. */
  async names(): Promise<string[]> {
    return (await readdir(this.path)).filter(isOfArchive).sort();
  }

  /** In bytes; 0 for a file that is not there. */
  async size(name: string): Promise<number> {
    return (await stat(join(this.path, name)).catch(whereMissing({ size: 0 }))).size;
  }

  /** Puts `bytes` at `at`, where the file has to end; what stands behind that is set aside. */
  async append(name: string, at: number, bytes: Uint8Array): Promise<void> {
    const size = await this.size(name);
    if (size > at) await this.cut(name, at);
    const file = await open(join(this.path, name), 'a');
    try {
      await file.appendFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (size === 0) await syncDirectory(this.path);
    const hashed = at === 0 ? { hash: createHash('sha256'), bytes: 0 } : this.#hashes.get(name);
    if (hashed?.bytes === at)
      this.#hashes.set(name, { hash: hashed.hash.update(bytes), bytes: at + bytes.length });
  }

  /**
   * What stands behind `at` is not the store's: an archiver was killed, or the store is older than the file.
   */
  async cut(name: string, at: number): Promise<void> {
    this.#hashes.delete(name);
    const folder = join(this.path, asideFolder);
    await mkdir(folder, { recursive: true });
    const file = await open(join(this.path, name), 'r+');
    try {
      const { size } = await file.stat();
      const surplus = await readFully(file, at, size - at);
      const aside = await open(join(folder, `${name}.from-${at}`), 'w');
      try {
        await aside.writeFile(surplus);
        await aside.sync();
      } finally {
        await aside.close();
      }
      await syncDirectory(folder);
      await file.truncate(at);
      await file.sync();
    } finally {
      await file.close();
    }
    // An empty file is none that a tool can read.
    if (at === 0) await unlink(join(this.path, name));
    await syncDirectory(this.path);
  }

  /** Says in `SHA256SUMS` what the first so many bytes of these files have to be. */
  async putSums(files: readonly { readonly name: string; readonly bytes: number }[]): Promise<void> {
    const sums = new Map<string, string>();
    for (const line of (await this.#text(checksumsFile)).split('\n'))
      if (line !== '') sums.set(line.slice(66), line.slice(0, 64));
    for (const { name, bytes } of files) sums.set(name, await this.#hashOf(name, bytes));
    const lines = [...sums].sort(([one], [other]) => (one < other ? -1 : 1));
    await this.#put(checksumsFile, lines.map(([name, sum]) => `${sum}  ${name}\n`).join(''));
    // Those of other days hardly ever grow again.
    for (const name of this.#hashes.keys())
      if (!files.some(each => each.name === name)) this.#hashes.delete(name);
  }

  async #hashOf(name: string, bytes: number): Promise<string> {
    let known = this.#hashes.get(name);
    if (known?.bytes !== bytes) {
      const hash = createHash('sha256');
      for await (const chunk of createReadStream(join(this.path, name), { end: bytes - 1 }))
        hash.update(chunk as Buffer);
      known = { hash, bytes };
      this.#hashes.set(name, known);
    }
    return known.hash.copy().digest('hex');
  }

  /** '' where the file is not there. */
  #text(name: string): Promise<string> {
    return readFile(join(this.path, name), 'utf8').catch(whereMissing(''));
  }

  async #put(name: string, text: string): Promise<void> {
    const path = join(this.path, name);
    const file = await open(`${path}.new`, 'w');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
    await syncDirectory(this.path);
  }
}

const whereMissing =
  <T>(value: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };

async function readFully(file: FileHandle, from: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, from + done);
    if (bytesRead === 0) return bytes.subarray(0, done);
    done += bytesRead;
  }
  return bytes;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
