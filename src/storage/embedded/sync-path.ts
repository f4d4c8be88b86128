import { closeSync, fsyncSync, openSync } from 'node:fs';

/**
 * Has the disk take a file, or a directory: after a power loss a file is there only if its directory was
 * synced. Throws what the system says.
 */
export function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
