/**
 * A payment out of the bytes of a JSON text (RFC 8259), in one pass, without making a string.
 *
 * The whole text is validated, not only the two members that count: whoever is told `202` sent JSON. What
 * is malformed outweighs what is no payment, so after a member that will not do the rest is still read.
 */

import { AMOUNT_TOO_FINE, AMOUNT_TOO_LARGE, AMOUNT_TOO_SMALL, centsOf, readPlainAmount } from './amount.ts';
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  CR,
  equals,
  LF,
  latin1,
  MINUS,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  SP,
  TAB,
} from './bytes.ts';
import { readEscapedId, readPlainId } from './correlation-id.ts';
import { decodeAscii, skipString } from './json-strings.ts';
import { jsonDepthMax } from './limits.ts';
import { four, wordOf } from './words.ts';

/** A payment: `into` is filled. The other answers are refusals; MALFORMED alone is a `400`. */
export const PAYMENT = 0;
export const MALFORMED = 1;
export const NOT_AN_OBJECT = 2;
export const ID_MISSING = 3;
export const ID_TWICE = 4;
export const ID_INVALID = 5;
export const AMOUNT_MISSING = 6;
export const AMOUNT_TWICE = 7;
export const AMOUNT_NOT_A_NUMBER = 8;
export const AMOUNT_NOT_POSITIVE = 9;
export const AMOUNT_FRACTION = 10;
export const AMOUNT_OVER_MAX = 11;

/** Where `readPayment` leaves what it found; one is enough for a process. */
export class PaymentFields {
  /** The 16 bytes of `correlationId` as four words, big-endian. */
  readonly id = new Int32Array(4);
  /** From 1 to `CENTS_MAX`. */
  cents = 0;
  /** After MALFORMED: the place of the first byte that cannot be, counted from the start of the text. */
  errorAt = 0;
}

const ID_KEY = latin1('correlationId');
const AMOUNT_KEY = latin1('amount');

/** Reads the payment in [start, end): PAYMENT, or why it is none. */
export function readPayment(bytes: Uint8Array, start: number, end: number, into: PaymentFields): number {
  let at = blanks(bytes, start, end);
  if (at === end || bytes[at] !== OPEN_BRACE) {
    at = skipValue(bytes, at, end, 0);
    return at < 0 ? malformed(into, start, ~at) : atEnd(bytes, at, start, end, into, NOT_AN_OBJECT);
  }
  let refusal = PAYMENT;
  let hasId = false;
  let hasAmount = false;
  at = blanks(bytes, at + 1, end);
  if (at < end && bytes[at] === CLOSE_BRACE) return atEnd(bytes, at + 1, start, end, into, ID_MISSING);
  for (;;) {
    if (at >= end || bytes[at] !== QUOTE) return malformed(into, start, at);
    const keyStart = at + 1;
    const key = keyAt(bytes, keyStart, end);
    if (key === OTHER_KEY) {
      at = skipString(bytes, at, end);
      if (at < 0) return malformed(into, start, ~at);
    } else at = keyStart + (key === ID ? ID_KEY.length : AMOUNT_KEY.length) + 1;
    const known = key === OTHER_KEY ? escapedKey(bytes, keyStart, at - 1) : key;
    at = blanks(bytes, at, end);
    if (at >= end || bytes[at] !== COLON) return malformed(into, start, at);
    at = blanks(bytes, at + 1, end);
    const valueStart = at;
    let plainEnd = 0;
    if (known === ID) plainEnd = readPlainId(bytes, at, end, into.id);
    else if (known === AMOUNT) plainEnd = readPlainAmount(bytes, at, end, into);
    at = plainEnd > 0 ? plainEnd : skipValue(bytes, at, end, 1);
    if (at < 0) return malformed(into, start, ~at);
    if (known === ID) {
      if (plainEnd === 0 && !readEscapedId(bytes, valueStart, at, into.id)) refusal ||= ID_INVALID;
      if (hasId) refusal ||= ID_TWICE;
      hasId = true;
    } else if (known === AMOUNT) {
      if (hasAmount) refusal ||= AMOUNT_TWICE;
      hasAmount = true;
      if (plainEnd === 0) refusal ||= readAmount(bytes, valueStart, at, into);
    }
    at = blanks(bytes, at, end);
    if (at >= end) return malformed(into, start, at);
    if (bytes[at] === CLOSE_BRACE) break;
    if (bytes[at] !== COMMA) return malformed(into, start, at);
    at = blanks(bytes, at + 1, end);
  }
  if (!hasId) refusal ||= ID_MISSING;
  if (!hasAmount) refusal ||= AMOUNT_MISSING;
  return atEnd(bytes, at + 1, start, end, into, refusal);
}

/** Whether [start, end) is one JSON text of at most 32 levels: -1, or the place of the first wrong byte. */
export function jsonErrorAt(bytes: Uint8Array, start: number, end: number): number {
  let at = skipValue(bytes, blanks(bytes, start, end), end, 0);
  if (at < 0) return ~at - start;
  at = blanks(bytes, at, end);
  return at === end ? -1 : at - start;
}

function malformed(into: PaymentFields, start: number, at: number): number {
  into.errorAt = at - start;
  return MALFORMED;
}

/** Nothing but white space may follow the text. */
function atEnd(
  bytes: Uint8Array,
  from: number,
  start: number,
  end: number,
  into: PaymentFields,
  result: number,
): number {
  const at = blanks(bytes, from, end);
  return at === end ? result : malformed(into, start, at);
}

function blanks(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  // Every other byte is larger than a space, apart from those that are wrong anyhow.
  while (at < end && bytes[at]! <= SP) {
    const byte = bytes[at]!;
    if (byte !== SP && byte !== LF && byte !== CR && byte !== TAB) break;
    at++;
  }
  return at;
}

const OTHER_KEY = 0;
const ID = 1;
const AMOUNT = 2;

/** Which key begins at `start` and ends with its quote, when it is written without escapes. */
function keyAt(bytes: Uint8Array, start: number, end: number): number {
  if (start + ID_KEY.length < end && four(bytes, start) === CORR) {
    const isId =
      four(bytes, start + 4) === ELAT &&
      four(bytes, start + 8) === IONI &&
      four(bytes, start + 10) === NID_QUOTE;
    return isId ? ID : OTHER_KEY;
  }
  if (start + AMOUNT_KEY.length < end && four(bytes, start) === AMOU) {
    return four(bytes, start + 3) === UNT_QUOTE ? AMOUNT : OTHER_KEY;
  }
  return OTHER_KEY;
}

const CORR = wordOf('corr', 0);
const ELAT = wordOf('elat', 0);
const IONI = wordOf('ionI', 0);
const NID_QUOTE = wordOf('nId"', 0);
const AMOU = wordOf('amou', 0);
const UNT_QUOTE = wordOf('unt"', 0);

/** Room for the longer key. */
const KEY_TEXT = new Uint8Array(ID_KEY.length);

/** The same for a key within [start, end) that may hold escapes, already validated. */
function escapedKey(bytes: Uint8Array, start: number, end: number): number {
  const length = decodeAscii(bytes, start, end, KEY_TEXT);
  if (equals(KEY_TEXT, 0, length, ID_KEY)) return ID;
  return equals(KEY_TEXT, 0, length, AMOUNT_KEY) ? AMOUNT : OTHER_KEY;
}

function readAmount(bytes: Uint8Array, start: number, end: number, into: PaymentFields): number {
  const first = bytes[start]!;
  if (first !== MINUS && (first < 0x30 || first > 0x39)) return AMOUNT_NOT_A_NUMBER;
  const cents = centsOf(bytes, start, end);
  switch (cents) {
    case AMOUNT_TOO_SMALL:
      return AMOUNT_NOT_POSITIVE;
    case AMOUNT_TOO_FINE:
      return AMOUNT_FRACTION;
    case AMOUNT_TOO_LARGE:
      return AMOUNT_OVER_MAX;
    default:
      into.cents = cents;
      return PAYMENT;
  }
}

// The functions below answer the place behind what they read, or the complement (~) of the first wrong place.

/** One value of any kind, `depth` brackets deep already. Open brackets are bits of a word: 1 for an object. */
function skipValue(bytes: Uint8Array, from: number, end: number, depth: number): number {
  let at = from;
  let open = 0;
  let level = depth;
  for (;;) {
    if (at >= end) return ~end;
    const byte = bytes[at]!;
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (level === jsonDepthMax) return ~at;
      const isObject = byte === OPEN_BRACE;
      at = blanks(bytes, at + 1, end);
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
      at = blanks(bytes, at, end);
      if (at >= end) return ~end;
      const isObject = (open & 1) === 1;
      if (bytes[at] === COMMA) {
        at = blanks(bytes, at + 1, end);
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
  at = blanks(bytes, at, end);
  if (at >= end || bytes[at] !== COLON) return ~at;
  return blanks(bytes, at + 1, end);
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
  if (at < end && bytes[at] === 0x2e) {
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
