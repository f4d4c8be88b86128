/**
 * A `correlationId` out of JSON: a UUID in its 8-4-4-4-12 form, its digits in either case, into four words in
 * their order.
 */
import { MINUS, QUOTE } from './bytes.ts';
import { decodeAscii } from './json-strings.ts';
import { hex4 } from './swar.ts';

const LENGTH = 36;

/**
 * Reads the id that stands in quotes at `at`, without escapes. Answers the place behind it, or 0 where there
 * is none.
 */
export function readPlainId(bytes: Uint8Array, at: number, end: number, id: Int32Array): number {
  const after = at + LENGTH + 2;
  if (after > end || bytes[at] !== QUOTE || bytes[after - 1] !== QUOTE) return 0;
  return readWords(bytes, at + 1, id) ? after : 0;
}

/** The slow way to the same: a validated value in [start, end) that may be a string with escapes. */
export function readEscapedId(bytes: Uint8Array, start: number, end: number, id: Int32Array): boolean {
  if (bytes[start] !== QUOTE) return false;
  const length = decodeAscii(bytes, start + 1, end - 1, UNESCAPED);
  return length === LENGTH && readWords(UNESCAPED, 0, id);
}

const UNESCAPED = new Uint8Array(LENGTH);

function readWords(bytes: Uint8Array, at: number, id: Int32Array): boolean {
  if (bytes[at + 8] !== MINUS || bytes[at + 13] !== MINUS) return false;
  if (bytes[at + 18] !== MINUS || bytes[at + 23] !== MINUS) return false;
  const a = hex4(bytes, at);
  const b = hex4(bytes, at + 4);
  const c = hex4(bytes, at + 9);
  const d = hex4(bytes, at + 14);
  const e = hex4(bytes, at + 19);
  const f = hex4(bytes, at + 24);
  const g = hex4(bytes, at + 28);
  const h = hex4(bytes, at + 32);
  if ((a | b | c | d | e | f | g | h) < 0) return false;
  id[0] = (a << 16) | b;
  id[1] = (c << 16) | d;
  id[2] = (e << 16) | f;
  id[3] = (g << 16) | h;
  return true;
}
