/**
 * The room on the store's disk that no new payment gets: what is accepted has to be sent, settled and booked,
 * and each of these is written. A disk that new payments fill to its last byte settles none of them.
 *
 *      free bytes   ─────────── taken again above here
 *                   ─────────── refused below here: the base, and so much for each unsettled payment
 *                   0           here the store itself says that it is full, which never happens by payments
 *
 * Each backend looks by itself, seldom, and only when it is asked. Pure but for `look`.
 */
import type { DiskSpace } from '../storage/ports.ts';
import type { DiskReserveFigures } from '../telemetry/snapshot.ts';
import { FallRate } from './fall-rate.ts';

const MiB = 1024 * 1024;

/**
 * What is written between two looks has to fit into the base: three backends at full load write some 2 MiB in
 * this time. A look takes 2 µs.
 */
const LOOK_MS = 100;
/** The base, where none is set: so much of the disk, and at most so many bytes. */
const BASE_SHARE = 1 / 8;
const BASE_BYTES_MAX = 256 * MiB;
/**
 * What it takes to settle a payment: its intents and its settlement in the log, and what the index writes in
 * its WAL; measured: 560 bytes. Of many payments at once the log and the WAL do not take more than this, as
 * they are used again; then it is the rows alone.
 */
const BYTES_PER_UNSETTLED = 1024;
const PASSING_BYTES_MAX = 256 * MiB;
const ROW_BYTES = 128;
/** Payments are taken again above the mark by this share of the base. */
const HYSTERESIS = 1 / 4;

/** The disk of a store on this machine. */
export interface StoreDisk {
  /** What it has; undefined when it cannot be asked, which says nothing. */
  readonly look: () => DiskSpace | undefined;
  /** The base; undefined: by the size of the disk. */
  readonly baseBytes: number | undefined;
}

export interface DiskReserveParts extends StoreDisk {
  /** Accepted payments that are not settled, of all backends. */
  readonly unsettled: () => number;
}

export class DiskReserve {
  readonly #parts: DiskReserveParts;
  readonly #growth = new FallRate();
  #lookedMs = -Infinity;
  #freeBytes = Infinity;
  #reserveBytes = 0;
  #takenFromBytes = 0;
  #isLow = false;

  constructor(parts: DiskReserveParts) {
    this.#parts = parts;
  }

  /** What was seen last; undefined before the first look. */
  get figures(): DiskReserveFigures | undefined {
    if (this.#freeBytes === Infinity) return undefined;
    return { freeBytes: this.#freeBytes, reserveBytes: this.#reserveBytes };
  }

  /** Whether new payments have to be refused, at this instant of the monotonic clock. */
  isLow(nowMs: number): boolean {
    if (nowMs - this.#lookedMs >= LOOK_MS) this.#look(nowMs);
    return this.#isLow;
  }

  /** For a client that was refused: whole seconds, by how fast room comes about. */
  get waitSeconds(): number {
    if (!this.#isLow) return 1;
    return this.#growth.secondsFor(this.#takenFromBytes - this.#freeBytes);
  }

  get reason(): string {
    const inMiB = (bytes: number): string => (bytes / MiB).toFixed(1);
    return (
      `the disk of the store has ${inMiB(this.#freeBytes)} MiB left, which are kept for settling ` +
      `(payments are taken again above ${inMiB(this.#takenFromBytes)} MiB)`
    );
  }

  #look(nowMs: number): void {
    this.#lookedMs = nowMs;
    const space = this.#parts.look();
    if (space === undefined) return;
    const { free, total } = space;
    const base = this.#parts.baseBytes ?? Math.min(BASE_BYTES_MAX, total * BASE_SHARE);
    this.#freeBytes = free;
    this.#reserveBytes = base + bytesToSettle(this.#parts.unsettled());
    this.#takenFromBytes = this.#reserveBytes + base * HYSTERESIS;
    this.#growth.at(nowMs, free);
    this.#isLow = free < (this.#isLow ? this.#takenFromBytes : this.#reserveBytes);
  }
}

const bytesToSettle = (unsettled: number): number =>
  Math.min(unsettled * BYTES_PER_UNSETTLED, PASSING_BYTES_MAX + unsettled * ROW_BYTES);
