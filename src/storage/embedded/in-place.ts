import { type Stats, statSync } from 'node:fs';
import { StoreFault } from '../ports.ts';

/**
 * A file that is open, and has to stay where it is: else who is started from now on would find another, or
 * none.
 */
export class FileInPlace {
  readonly #path: string;
  readonly #opened: Stats;

  constructor(path: string) {
    this.#path = path;
    this.#opened = statSync(path);
  }

  /** Throws `StoreFault`. */
  assert(): void {
    const file = statSync(this.#path, { throwIfNoEntry: false });
    if (file?.ino === this.#opened.ino && file.dev === this.#opened.dev) return;
    throw new StoreFault('lost', `${this.#path} was removed or replaced while it was in use`);
  }
}
