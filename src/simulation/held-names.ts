/** Who holds the names of a store. The kernel, or a store's server, lets go of those of a dead process. */
import type { HeldName } from '../storage/embedded/name-lock.ts';
import { NameTakenError } from '../storage/ports.ts';
import { type Process, processLabel } from './event-loop.ts';

export class HeldNames {
  readonly #fail: (what: string) => void;
  readonly #holders = new Map<string, Process>();
  readonly #users = new Map<string, Set<Process>>();

  constructor(fail: (what: string) => void) {
    this.#fail = fail;
  }

  /** Throws `NameTakenError`. */
  take(process: Process): HeldName {
    const { name } = process;
    const holder = this.#holders.get(name);
    if (holder?.alive === true && holder !== process) throw new NameTakenError(name, 'of the world');
    this.#holders.set(name, process);
    return {
      assertInPlace() {},
      release: () => {
        this.#users.get(name)?.delete(process);
        if (this.#holders.get(name) === process) this.#holders.delete(name);
      },
    };
  }

  /** A process uses the store. */
  opened(process: Process): void {
    const users = this.#users.get(process.name) ?? new Set();
    this.#users.set(process.name, users.add(process));
    for (const other of users) {
      if (!other.alive) users.delete(other);
      else if (other !== process)
        this.#fail(`${processLabel(process)} opened the store while ${processLabel(other)} uses it`);
    }
  }
}
