/**
 * CRC-32 (that of zlib and Ethernet) over a part of a buffer, four bytes a step.
 *
 * It finds every change of up to 32 bits in a row, and every one of two or three bits in a record. It is not
 * that of `node:zlib` because that takes a view: for records of 50 bytes, making the view and calling out of
 * JavaScript costs several times the sum itself, and an object a record.
 */

const POLYNOMIAL = 0xedb88320;

/** `TABLES[k][byte]`: what a byte does to the sum when k bytes follow it. */
const TABLES: readonly [Int32Array, Int32Array, Int32Array, Int32Array] = [
  new Int32Array(256),
  new Int32Array(256),
  new Int32Array(256),
  new Int32Array(256),
];
const [ZERO, ONE, TWO, THREE] = TABLES;

for (let byte = 0; byte < 256; byte++) {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? POLYNOMIAL : 0);
  ZERO[byte] = sum;
}
for (let byte = 0; byte < 256; byte++) {
  for (let after = 1; after < 4; after++) {
    const before = TABLES[after - 1]![byte]!;
    TABLES[after]![byte] = (before >>> 8) ^ ZERO[before & 0xff]!;
  }
}

/** The sum of the bytes from `start` up to `end`, going on from the sum `seed` of what stands before them. */
export function crc32(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  let sum = ~seed;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    sum ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    sum =
      THREE[sum & 0xff]! ^ TWO[(sum >>> 8) & 0xff]! ^ ONE[(sum >>> 16) & 0xff]! ^ ZERO[(sum >>> 24) & 0xff]!;
  }
  for (; at < end; at++) sum = (sum >>> 8) ^ ZERO[(sum ^ bytes[at]!) & 0xff]!;
  return ~sum >>> 0;
}
