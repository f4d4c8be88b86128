/**
 * Follows the logs of the other instances, so that what they accept is known here within a moment, also while
 * the store is busy: the files are in the page cache, and reading 1,000 new records takes 0.1 ms.
 *
 * What a segment holds is kept here, by id, for as long as the file exists: its instance deletes it once the
 * store has everything in it, and from then on the store answers.
 */
import { join } from 'node:path';
import { hash } from '../../payments/payment-pool.ts';
import type { FeedEvents, HeardPayment, PeerFeed } from '../ports.ts';
import { logDirectory } from './file-log.ts';
import { type Files, realFiles } from './files.ts';
import {
  decodeHeader,
  decodeRecords,
  HEADER_BYTES,
  RECORD_BYTES,
  segmentOf,
  word as wordAt,
} from './log-format.ts';

const READ_BYTES = 4096 * RECORD_BYTES;

interface Followed {
  readonly fd: number;
  readonly instance: string;
  position: number;
  generation: number | undefined;
  readonly table: Table;
}

export class SharedDirectoryFeed implements PeerFeed {
  readonly #directory: string;
  readonly #instance: string;
  readonly #events: FeedEvents;
  readonly #files: Files;
  readonly #followed = new Map<string, Followed>();
  /** The same, for whoever asks for each payment: an array is gone through without an object a step. */
  #tables: readonly Table[] = [];
  /** The latest segment seen of each instance. */
  readonly #latest = new Map<string, number>();
  readonly #buffer = new Uint8Array(READ_BYTES);
  readonly #words = new Int32Array(4);

  constructor(directory: string, instance: string, events: FeedEvents, files: Files = realFiles) {
    this.#files = files;
    this.#directory = logDirectory(directory);
    this.#instance = instance;
    this.#events = events;
  }

  /** Reads what is new. Ids of segments of a generation before `generation` are not kept. */
  poll(generation: number): void {
    const names = new Set(this.#files.list(this.#directory));
    for (const name of [...names].sort()) {
      const segment = segmentOf(name);
      if (segment === undefined || segment.instance === this.#instance || this.#followed.has(name)) continue;
      this.#openFile(name, segment.instance, segment.number);
    }
    for (const [name, file] of this.#followed) {
      // A file that is gone can still be read to its end.
      this.#read(file, generation);
      if (names.has(name)) continue;
      this.#files.close(file.fd);
      this.#followed.delete(name);
      this.#listTables();
    }
  }

  /** What another instance's log says of an id (four words); undefined: nothing. */
  find(id: ArrayLike<number>): HeardPayment | undefined {
    let heard: HeardPayment | undefined;
    // The latest counts: what comes before it may have been refused after it was written.
    for (const table of this.#tables) {
      const place = table.find(id);
      if (place >= 0) heard = { cents: table.cents[place]!, acceptedAtMs: table.acceptedAtMs[place]! };
    }
    return heard;
  }

  /**
   * Does any log say another amount of an id? One that was refused after it was written may be among them,
   * but of two amounts nobody can tell which that was: to refuse the second loses nothing.
   */
  conflicts(id: ArrayLike<number>, cents: number): boolean {
    const tables = this.#tables;
    for (let at = 0; at < tables.length; at++) {
      const table = tables[at]!;
      const place = table.find(id);
      if (place >= 0 && table.cents[place] !== cents) return true;
    }
    return false;
  }

  close(): void {
    for (const { fd } of this.#followed.values()) this.#files.close(fd);
    this.#followed.clear();
    this.#listTables();
  }

  #listTables(): void {
    this.#tables = [...this.#followed.values()].map(({ table }) => table);
  }

  #openFile(name: string, instance: string, number: number): void {
    const latest = this.#latest.get(instance);
    let fd: number;
    try {
      fd = this.#files.open(join(this.#directory, name));
    } catch {
      // Deleted since the directory was read.
      this.#events.missed();
      return;
    }
    if (latest !== undefined && number > latest + 1) this.#events.missed();
    this.#latest.set(instance, Math.max(latest ?? 0, number));
    this.#followed.set(name, {
      fd,
      instance,
      position: 0,
      generation: undefined,
      table: new Table(),
    });
    this.#listTables();
  }

  #read(file: Followed, generation: number): void {
    for (;;) {
      const length = this.#files.read(file.fd, this.#buffer, READ_BYTES, file.position);
      let start = 0;
      if (file.generation === undefined) {
        file.generation = decodeHeader(this.#buffer.subarray(0, length))?.generation;
        if (file.generation === undefined) return;
        start = HEADER_BYTES;
      }
      const keep = file.generation >= generation;
      const words = this.#words;
      const end = decodeRecords(this.#buffer, start, length, (bytes, at, cents, acceptedAtMs) => {
        if (!keep) return;
        for (let word = 0; word < 4; word++) words[word] = wordAt(bytes, at + word * 4);
        file.table.add(words, cents, acceptedAtMs);
        this.#events.accepted(words, file.instance);
      });
      file.position += end;
      if (length < READ_BYTES || end === 0) return;
    }
  }
}

/** Ids of one segment: open addressing in typed arrays, doubled when half full. */
class Table {
  #words = new Int32Array(0);
  cents = new Float64Array(0);
  acceptedAtMs = new Float64Array(0);
  #used = new Uint8Array(0);
  #size = 0;

  add(id: ArrayLike<number>, cents: number, acceptedAtMs: number): void {
    if (this.#size * 2 >= this.#used.length) this.#grow();
    this.#put(id, 0, cents, acceptedAtMs);
  }

  find(id: ArrayLike<number>): number {
    if (this.#size === 0) return -1;
    const place = this.#place(id, 0);
    return this.#used[place] === 1 ? place : -1;
  }

  /** Takes the id whose words begin at `from` of `words`, unless it is there. */
  #put(words: ArrayLike<number>, from: number, cents: number, acceptedAtMs: number): void {
    const place = this.#place(words, from);
    if (this.#used[place] === 1) return;
    this.#used[place] = 1;
    for (let word = 0; word < 4; word++) this.#words[place * 4 + word] = words[from + word]!;
    this.cents[place] = cents;
    this.acceptedAtMs[place] = acceptedAtMs;
    this.#size += 1;
  }

  /** Where an id is, or where it would be put. */
  #place(id: ArrayLike<number>, from: number): number {
    const mask = this.#used.length - 1;
    const words = this.#words;
    let place = hash(id, from) & mask;
    while (this.#used[place] === 1) {
      const at = place * 4;
      if (
        words[at] === id[from] &&
        words[at + 1] === id[from + 1] &&
        words[at + 2] === id[from + 2] &&
        words[at + 3] === id[from + 3]
      ) {
        return place;
      }
      place = (place + 1) & mask;
    }
    return place;
  }

  #grow(): void {
    const { cents, acceptedAtMs } = this;
    const words = this.#words;
    const used = this.#used;
    this.#allocate(Math.max(64, used.length * 2));
    for (let old = 0; old < used.length; old++) {
      if (used[old] === 1) this.#put(words, old * 4, cents[old]!, acceptedAtMs[old]!);
    }
  }

  #allocate(places: number): void {
    this.#words = new Int32Array(places * 4);
    this.cents = new Float64Array(places);
    this.acceptedAtMs = new Float64Array(places);
    this.#used = new Uint8Array(places);
    this.#size = 0;
  }
}
