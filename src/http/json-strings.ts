/**
 * The strings of a JSON text (RFC 8259 section 7): whether one is right, to its last byte of UTF-8, where it
 * ends, and what it says where that is to be compared.
 */
import { BACKSLASH, HEX, QUOTE } from './bytes.ts';
import { hex4 } from './swar.ts';

/** Begins four hexadecimal digits after a backslash. */
const SMALL_U = 0x75;

/** The place behind the string whose quote is at `from`, or the complement (~) of the first wrong place. */
export function skipString(bytes: Uint8Array, from: number, end: number): number {
  let at = from + 1;
  for (;;) {
    while (at < end && IS_PLAIN[bytes[at]!] === 1) at++;
    if (at >= end) return ~end;
    const byte = bytes[at]!;
    if (byte === QUOTE) return at + 1;
    if (byte === BACKSLASH) {
      if (at + 1 >= end) return ~end;
      if (bytes[at + 1] === SMALL_U) {
        for (let digit = at + 2; digit < at + 6; digit++) {
          if (digit >= end || HEX[bytes[digit]!]! < 0) return ~digit;
        }
        at += 6;
      } else if (ESCAPES[bytes[at + 1]!] !== 0) at += 2;
      else return ~(at + 1);
    } else {
      const length = utf8Length(bytes, at, end);
      if (length === 0) return ~at;
      at += length;
    }
  }
}

/**
 * The bytes of the UTF-8 character that begins at `at` with a byte that is not ASCII, or 0 (RFC 3629
 * section 4): shortest forms only, no surrogates, nothing beyond U+10FFFF.
 */
function utf8Length(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!;
  const length =
    lead >= 0xc2 && lead <= 0xdf
      ? 2
      : lead >= 0xe0 && lead <= 0xef
        ? 3
        : lead >= 0xf0 && lead <= 0xf4
          ? 4
          : 0;
  if (length === 0 || at + length > end) return 0;
  const second = bytes[at + 1]!;
  const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let next = at + 2; next < at + length; next++) if ((bytes[next]! & 0xc0) !== 0x80) return 0;
  return length;
}

/**
 * Writes what the validated inside of a string means to `into` and answers its length; one more than there is
 * room for when it is longer or holds anything that is not ASCII.
 */
export function decodeAscii(bytes: Uint8Array, start: number, end: number, into: Uint8Array): number {
  let length = 0;
  for (let at = start; at < end; ) {
    let byte = bytes[at]!;
    if (byte !== BACKSLASH) at++;
    else if (bytes[at + 1] === SMALL_U) {
      byte = hex4(bytes, at + 2);
      at += 6;
    } else {
      byte = ESCAPES[bytes[at + 1]!]!;
      at += 2;
    }
    if (byte > 0x7f || length === into.length) return into.length + 1;
    into[length++] = byte;
  }
  return length;
}

/** What stands for what after a backslash; 0 for what may not stand there, and for `u`. */
const ESCAPES = new Uint8Array(256);
for (const [letter, meaning] of [
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
] as const) {
  ESCAPES[letter.charCodeAt(0)] = meaning.charCodeAt(0);
}

/** Bytes that stand for themselves in a string: ASCII without control bytes, quote and backslash. */
const IS_PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte < 0x80 && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);
