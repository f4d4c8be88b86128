import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isSystemError } from './domain/system-error.ts';

/**
 * Makes a directory and those above it that are missing. Node.js's own, with `recursive`, does not end where
 * a file system takes no directories, as that of `/proc`. Returns whether it was missing. Throws the error of
 * the operating system.
 */
export function makeDirectory(path: string): boolean {
  try {
    return makeOne(path);
  } catch (error) {
    const above = dirname(path);
    if (!isSystemError(error) || error.code !== 'ENOENT' || above === path) throw error;
    makeDirectory(above);
    return makeOne(path);
  }
}

/** False: it is there, made by another process at the same moment, perhaps. */
function makeOne(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch (error) {
    if (isDirectory(path)) return false;
    throw error;
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
