/**
 * Four bytes at a time, as one word: fewer steps than one by one. A byte that comes first stands in the
 * lowest bits.
 */
import { HEX, latin1 } from './bytes.ts';

/** The word of the four bytes from `at` on. */
export function four(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/**
 * The same with letters in lower case. In bytes that passed as token or value, only a letter has another byte
 * beside it that differs by 0x20 alone and could be taken for it.
 */
export function fourLower(bytes: Uint8Array, at: number): number {
  return four(bytes, at) | 0x20202020;
}

/** What `four` finds in a text, and `fourLower` in one without capitals. */
export const wordOf = (text: string, at: number): number => four(latin1(text), at);

/**
 * Whether four bytes are all from space to `~`, as nearly all bytes of field values are: in each, taking away
 * 0x20 and adding 1 leaves the highest bit alone. A byte that is not may make the ones above it look wrong,
 * never right. The table of the bytes then says what is wrong. For a browser's request, whose values are
 * long, this takes off a tenth.
 */
export function arePlain(word: number): boolean {
  return (((word - 0x20202020) | word | (word + 0x01010101)) & 0x80808080) === 0;
}

/** Whether `HTTP/1.1 CRLF` or the same with 1.0 stands at `at`. */
export function isVersion1(view: DataView, at: number): boolean {
  return (
    view.getInt32(at, true) === HTTP &&
    (view.getInt32(at + 4, true) & ZERO_OR_ONE) === VERSION &&
    view.getInt16(at + 8, true) === LINE_END
  );
}

const HTTP = wordOf('HTTP', 0);
const VERSION = wordOf('/1.0', 0);
/** Leaves out the bit by which `1` differs from `0`, in the last byte. */
const ZERO_OR_ONE = 0xfeffffff;
const LINE_END = 0x0a0d;

/** The value of four hexadecimal digits, or a negative number: any wrong digit gives all bits. */
export function hex4(bytes: Uint8Array, at: number): number {
  return HEX_12[bytes[at]!]! | HEX_8[bytes[at + 1]!]! | HEX_4[bytes[at + 2]!]! | HEX[bytes[at + 3]!]!;
}

const shifted = (by: number): Int32Array => Int32Array.from(HEX, digit => (digit < 0 ? -1 : digit << by));
const HEX_12 = shifted(12);
const HEX_8 = shifted(8);
const HEX_4 = shifted(4);
