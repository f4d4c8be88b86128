import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isSystemError } from './domain/system-error.ts';

/**
 * Makes a directory and those above it that are missing. Node.js's own, with `recursive`, does not end where
 * a file system takes no directories, as that of `/proc`. Throws the error of the operating system.
 */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const above = dirname(path);
    if (error.code === 'ENOENT' && above !== path) {
      makeDirectory(above);
      mkdirSync(path);
    } else if (!isDirectory(path)) throw error;
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
