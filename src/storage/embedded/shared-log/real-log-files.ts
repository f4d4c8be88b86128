import {
  closeSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { threadId } from 'node:worker_threads';
import { makeDirectory } from '../../../make-directory.ts';
import { syncPath } from '../sync-path.ts';
import type { LogFiles } from './log-files.ts';

/** Two containers may have one process number, so a name that is only for a moment has chance in it. */
const temporaryName = (path: string): string =>
  `${path}.${process.pid}-${threadId}-${Math.random().toString(36).slice(2)}.new`;

export const realLogFiles: LogFiles = {
  makeDirectory,
  list: path => readdirSync(path),
  createWhole(path, bytes) {
    const temporary = temporaryName(path);
    const fd = openSync(temporary, 'wx');
    try {
      if (writeSync(fd, bytes) !== bytes.length) {
        throw Object.assign(new Error(`no space for ${path}`), { code: 'ENOSPC' });
      }
      fsyncSync(fd);
      // Unlike a rename, a link never takes the place of what is there.
      linkSync(temporary, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      return false;
    } finally {
      closeSync(fd);
      rmSync(temporary, { force: true });
      syncPath(dirname(path));
    }
    return true;
  },
  openToAppend(path) {
    // 'a+' would make a file that is missing.
    closeSync(openSync(path, 'r'));
    return openSync(path, 'a+');
  },
  append: (fd, bytes, length) => writeSync(fd, bytes, 0, length),
  read: (fd, bytes, start, length, position) => readSync(fd, bytes, start, length, position),
  sync: fdatasync,
  close: closeSync,
  isInPlace(fd, path) {
    const [opened, found] = [fstatSync(fd), statSync(path, { throwIfNoEntry: false })];
    return found?.ino === opened.ino && found.dev === opened.dev;
  },
  remove: path => rmSync(path, { force: true }),
  move(path, to) {
    renameSync(path, to);
    syncPath(dirname(path));
    syncPath(dirname(to));
  },
  fileSystem: path => statfsSync(path).type,
};
