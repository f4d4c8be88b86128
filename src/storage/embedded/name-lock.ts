/**
 * An instance's name, held by one process until it ends, however it ends. Two processes of one name would
 * each take the other's log for what it left behind itself before a crash, and delete it.
 *
 * The kernel keeps the lock and drops it with the process: `kill -9` frees the name at once, a process that
 * is only stopped still has it. The lock is about a file and a process, not about the number of a process,
 * so it holds between containers that share a volume. Node.js asks for one only through SQLite: a transaction
 * that means to write has RESERVED, which one system call grants to one of all that ask. The transaction
 * never ends and its journal is in memory, so nothing is written and the file stays empty.
 *
 * The file must never be opened and closed by anything but SQLite in a process that uses it: POSIX drops all
 * locks that a process has on a file as soon as any descriptor of it is closed.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeDirectory } from '../../make-directory.ts';
import { NameTakenError, StoreOpenError } from '../ports.ts';
import { FileInPlace } from './in-place.ts';
import { openErrorOf, resultCode, SQLITE_BUSY } from './index/schema.ts';

/** Below the store's directory: the files that are locked. */
const nameFolder = 'names';

export interface HeldName {
  /** Throws `StoreFault` where the file was removed or replaced, and the name so is free. */
  assertInPlace(): void;
  /** Lets go of the name, and of the file system that the file is on; again without effect. */
  release(): void;
}

/** A lock that nobody refers to would be collected as garbage, and the name be free. */
const held = new Set<HeldName>();

export const nameFile = (directory: string, name: string): string =>
  join(directory, nameFolder, `${name}.lock`);

/** Takes `name` in the store of `directory`, never waiting. Throws `NameTakenError` or `StoreOpenError`. */
export function takeName(directory: string, name: string): HeldName {
  try {
    makeDirectory(join(directory, nameFolder));
  } catch (error) {
    throw openErrorOf(directory, error);
  }
  const path = nameFile(directory, name);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    // Of a file that may only be read, SQLite would begin to write without a lock, and without a word.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE; PRAGMA user_version = 1');
    return hold(database, new FileInPlace(path));
  } catch (error) {
    database?.close();
    if (resultCode(error) === SQLITE_BUSY) throw new NameTakenError(name, directory);
    const { errstr, message } = error as Error & { errstr?: string };
    throw new StoreOpenError(
      `STORE_URL: cannot use ${path} (${errstr ?? message}): it has to be an empty file that this user can write`,
    );
  }
}

/**
 * Removes the file of `name`, unless somebody holds it: who opened it at this moment finds that it is gone.
 */
export function forgetName(directory: string, name: string): void {
  const path = nameFile(directory, name);
  if (!existsSync(path)) return;
  let own: HeldName;
  try {
    own = takeName(directory, name);
  } catch (error) {
    if (error instanceof StoreOpenError) return;
    throw error;
  }
  rmSync(path);
  own.release();
}

function hold(database: DatabaseSync, file: FileInPlace): HeldName {
  const name: HeldName = {
    assertInPlace: () => file.assert(),
    release() {
      if (held.delete(name)) database.close();
    },
  };
  held.add(name);
  return name;
}
