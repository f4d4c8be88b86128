/**
 * JSON by its grammar (RFC 8259), where what it says does not count: whether it is right, and where it ends.
 *
 * Nothing is made of what is read, and no function calls itself: the open brackets are bits of a word, so a
 * body of brackets costs no stack. But for `jsonErrorAt`, all answer the place behind what they read, or the
 * complement (~) of the first wrong place.
 */
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  CR,
  DOT,
  LF,
  latin1,
  MINUS,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  SP,
  TAB,
} from './bytes.ts';
import { skipString } from './json-strings.ts';
import { jsonDepthMax } from './limits.ts';

/** Whether [start, end) is one JSON text of at most 32 levels: -1, or the place of the first wrong byte. */
export function jsonErrorAt(bytes: Uint8Array, start: number, end: number): number {
  let at = skipValue(bytes, skipBlanks(bytes, start, end), end, 0);
  if (at < 0) return ~at - start;
  at = skipBlanks(bytes, at, end);
  return at === end ? -1 : at - start;
}

/** One value of any kind, `depth` brackets deep already. */
export function skipValue(bytes: Uint8Array, from: number, end: number, depth: number): number {
  let at = from;
  let open = 0; // a bit for each bracket that is open: 1 for an object's
  let level = depth;
  for (;;) {
    if (at >= end) return ~end;
    const byte = bytes[at]!;
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (level === jsonDepthMax) return ~at;
      const isObject = byte === OPEN_BRACE;
      at = skipBlanks(bytes, at + 1, end);
      if (at < end && bytes[at] === (isObject ? CLOSE_BRACE : CLOSE_BRACKET)) at++;
      else {
        level++;
        open = (open << 1) | (isObject ? 1 : 0);
        if (isObject) {
          at = skipKey(bytes, at, end);
          if (at < 0) return at;
        }
        continue;
      }
    } else {
      at = skipScalar(bytes, at, end);
      if (at < 0) return at;
    }
    // A value is behind; close what it closes, until a comma asks for the next one.
    for (;;) {
      if (level === depth) return at;
      at = skipBlanks(bytes, at, end);
      if (at >= end) return ~end;
      const isObject = (open & 1) === 1;
      if (bytes[at] === COMMA) {
        at = skipBlanks(bytes, at + 1, end);
        if (isObject) {
          at = skipKey(bytes, at, end);
          if (at < 0) return at;
        }
        break;
      }
      if (bytes[at] !== (isObject ? CLOSE_BRACE : CLOSE_BRACKET)) return ~at;
      at++;
      level--;
      open >>>= 1;
    }
  }
}

/** A member's name with its colon and the white space after it. */
function skipKey(bytes: Uint8Array, from: number, end: number): number {
  if (from >= end || bytes[from] !== QUOTE) return ~from;
  let at = skipString(bytes, from, end);
  if (at < 0) return at;
  at = skipBlanks(bytes, at, end);
  if (at >= end || bytes[at] !== COLON) return ~at;
  return skipBlanks(bytes, at + 1, end);
}

const TRUE = latin1('true');
const FALSE = latin1('false');
const NULL = latin1('null');

function skipScalar(bytes: Uint8Array, at: number, end: number): number {
  switch (bytes[at]) {
    case QUOTE:
      return skipString(bytes, at, end);
    case 0x74:
      return skipWord(bytes, at, end, TRUE);
    case 0x66:
      return skipWord(bytes, at, end, FALSE);
    case 0x6e:
      return skipWord(bytes, at, end, NULL);
    default:
      return skipNumber(bytes, at, end);
  }
}

function skipWord(bytes: Uint8Array, at: number, end: number, word: Uint8Array): number {
  for (let place = 0; place < word.length; place++) {
    if (at + place >= end || bytes[at + place] !== word[place]) return ~(at + place);
  }
  return at + word.length;
}

/** `[ minus ] int [ frac ] [ exp ]` */
function skipNumber(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  if (at < end && bytes[at] === MINUS) at++;
  if (at < end && bytes[at] === 0x30) at++;
  else {
    at = skipDigits(bytes, at, end);
    if (at < 0) return at;
  }
  if (at < end && bytes[at] === DOT) {
    at = skipDigits(bytes, at + 1, end);
    if (at < 0) return at;
  }
  if (at < end && (bytes[at]! | 0x20) === 0x65) {
    at++;
    if (at < end && (bytes[at] === 0x2b || bytes[at] === MINUS)) at++;
    at = skipDigits(bytes, at, end);
  }
  return at;
}

/** One digit at least. */
function skipDigits(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at]! - 0x30 >= 0 && bytes[at]! - 0x30 <= 9) at++;
  return at === from ? ~at : at;
}

/** White space; there may be none. */
export function skipBlanks(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  // Every other byte is larger than a space, apart from those that are wrong anyhow.
  while (at < end && bytes[at]! <= SP) {
    const byte = bytes[at]!;
    if (byte !== SP && byte !== LF && byte !== CR && byte !== TAB) break;
    at++;
  }
  return at;
}
