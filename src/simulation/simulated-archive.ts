/** The archive's files in the world, on a disk that has what it was given, and what they have to hold. */
import { idText } from '../domain/payment.ts';
import { archiveFileName, unpackedIds } from '../storage/archive/archive-line.ts';
import type { ArchiveFolder } from '../storage/embedded/archive/archive-folder.ts';
import type { SimulatedIndexDisk } from './index-disk.ts';

export class SimulatedArchive implements ArchiveFolder {
  readonly #files = new Map<string, Uint8Array>();
  #sums = '';
  /** Files were taken away: what the index knows of them cannot be looked for. */
  #isPartial = false;

  size(name: string): number {
    return this.#files.get(name)?.length ?? 0;
  }

  append(name: string, at: number, bytes: Uint8Array): void {
    const kept = this.#files.get(name)?.subarray(0, at) ?? new Uint8Array(0);
    const grown = new Uint8Array(kept.length + bytes.length);
    grown.set(kept);
    grown.set(bytes, kept.length);
    this.#files.set(name, grown);
  }

  read(name: string, length: number): Uint8Array {
    return this.#files.get(name)!.subarray(0, length);
  }

  sums(): string {
    return this.#sums;
  }

  putSums(text: string): void {
    this.#sums = text;
  }

  /** The store is another one, or in another directory: its archive stayed behind. */
  takeAway(): void {
    this.#files.clear();
    this.#isPartial = true;
  }

  /**
   * What is wrong with the archive of an index; undefined: nothing. `isPurged`: what was archived is
   * forgotten.
   */
  wrong({ database }: SimulatedIndexDisk, isPurged: boolean): string | undefined {
    const ids = (table: string): string[] =>
      database
        .prepare(`SELECT id FROM ${table}`)
        .all()
        .map(({ id }) => idText(id as Uint8Array));
    const [archived, kept] = [new Set(ids('archived')), ids('payments')];
    const both = kept.find(id => archived.has(id));
    if (both !== undefined) return `${both} is archived, and in the store`;
    const lines = this.#lines(database);
    if (lines === undefined) return 'a file of the archive cannot be unpacked';
    if (new Set(lines).size < lines.length && !isPurged) return 'a payment has two lines in the archive';
    if (isPurged || this.#isPartial) return undefined;
    const found = new Set(lines);
    for (const id of archived) if (!found.has(id)) return `${id} is archived, and in no file`;
    return found.size === archived.size ? undefined : 'the files have payments that are not archived';
  }

  /** The ids in all that the index knows of the files. */
  #lines(database: SimulatedIndexDisk['database']): string[] | undefined {
    const files = database.prepare('SELECT day, part, bytes FROM archive_files').all();
    try {
      return files.flatMap(({ day, part, bytes }) => {
        const known = this.#files.get(archiveFileName(day as string, part as number));
        if (known === undefined || known.length < (bytes as number)) return [];
        return unpackedIds(known.subarray(0, bytes as number));
      });
    } catch (error) {
      if ((error as { code?: string }).code === undefined) throw error;
      return undefined;
    }
  }
}
