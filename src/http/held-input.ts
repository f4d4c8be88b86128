/** What a connection has read and not yet parsed to its end: a part of a request, or the requests behind. */
import { heldBytesSpare } from './limits.ts';

const NO_BYTES = Buffer.alloc(0);
const capacityUnit = 1024;
/** What is kept for the next partial request instead of being given back. */
const capacityKept = 4096;

export class HeldInput {
  /** [0, end) of these is held. */
  bytes: Buffer = NO_BYTES;
  end = 0;

  /** Gives all of it up, and the memory too. */
  drop(): void {
    this.bytes = NO_BYTES;
    this.end = 0;
  }

  /** Holds [start, end) of `bytes`, which may be its own, and nothing else. False: see `add`. */
  keep(bytes: Buffer, start: number, end: number, isTight: boolean): boolean {
    if (bytes !== this.bytes) {
      this.end = 0;
      if (end > start) return this.add(bytes, start, end, isTight);
    } else if (start > 0) bytes.copyWithin(0, start, end);
    this.end = end - start;
    if (this.end === 0 && this.bytes.length > capacityKept) this.bytes = NO_BYTES;
    return true;
  }

  /**
   * Puts [start, end) of `bytes` behind what is held. False, and nothing is done, where memory `isTight` and
   * this would be more than a little.
   */
  add(bytes: Buffer, start: number, end: number, isTight: boolean): boolean {
    const needed = this.end + end - start;
    if (isTight && needed > heldBytesSpare) return false;
    if (needed > this.bytes.length) {
      // At first no more than needed; then twice as much, so that bytes that drip in are seldom copied again.
      const least = Math.max(needed, 2 * this.bytes.length);
      const grown = Buffer.allocUnsafeSlow(Math.ceil(least / capacityUnit) * capacityUnit);
      this.bytes.copy(grown, 0, 0, this.end);
      this.bytes = grown;
    }
    bytes.copy(this.bytes, this.end, start, end);
    this.end = needed;
    return true;
  }
}
