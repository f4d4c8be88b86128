/** The archive of a store that is broken: what it has of the payments that were sent, and nothing twice. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackedIds } from '../storage/archive/archive-line.ts';
import { until } from '../testing/until.ts';

/** So little that payments are archived while the rest is broken. */
const KEPT_MS = 2000;
const DAY_IN_MS = 86_400_000;

export class ChaosArchive implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'soquete-chaos-'));

  get env(): NodeJS.ProcessEnv {
    return { RETENTION_DAYS: String(KEPT_MS / DAY_IN_MS), ARCHIVE_DIR: this.#directory };
  }

  /** How many are in it twice, or were never sent. What was accepted last is archived while it is read. */
  async audit(sent: readonly string[], say: (line: string) => void): Promise<number> {
    let ids: string[] = [];
    const hasSome = (): boolean => {
      ids = this.#ids();
      return ids.length > 0;
    };
    await until(hasSome, 'payments to be archived');
    const known = new Set(sent);
    const twice = ids.length - new Set(ids).size;
    const strange = ids.filter(id => !known.has(id)).length;
    say(`archived ${ids.length} payments: twice ${twice}, never sent ${strange}`);
    return twice + strange;
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }

  /** None while one of its files is being written. */
  #ids(): string[] {
    try {
      const files = readdirSync(this.#directory).filter(name => name.endsWith('.zst'));
      return files.flatMap(name => unpackedIds(readFileSync(join(this.#directory, name))));
    } catch {
      return [];
    }
  }
}
