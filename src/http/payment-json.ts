/**
 * A payment out of the bytes of a JSON text (RFC 8259), in one pass, without making a string.
 *
 * The whole text is validated, not only the two members that count: whoever is told `202` sent JSON. What
 * is malformed outweighs what is no payment, so after a member that will not do the rest is still read.
 */
import { AMOUNT_TOO_FINE, AMOUNT_TOO_LARGE, AMOUNT_TOO_SMALL, centsOf, readPlainAmount } from './amount.ts';
import { CLOSE_BRACE, COLON, COMMA, equals, latin1, MINUS, OPEN_BRACE, QUOTE } from './bytes.ts';
import { readEscapedId, readPlainId } from './correlation-id.ts';
import { jsonErrorAt, skipBlanks, skipValue } from './json.ts';
import { decodeAscii, skipString } from './json-strings.ts';
import { four, wordOf } from './swar.ts';

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
  let at = skipBlanks(bytes, start, end);
  if (at === end || bytes[at] !== OPEN_BRACE) {
    const errorAt = jsonErrorAt(bytes, start, end);
    return errorAt < 0 ? NOT_AN_OBJECT : malformed(into, 0, errorAt);
  }
  let refusal = PAYMENT;
  let hasId = false;
  let hasAmount = false;
  at = skipBlanks(bytes, at + 1, end);
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
    at = skipBlanks(bytes, at, end);
    if (at >= end || bytes[at] !== COLON) return malformed(into, start, at);
    at = skipBlanks(bytes, at + 1, end);
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
    at = skipBlanks(bytes, at, end);
    if (at >= end) return malformed(into, start, at);
    if (bytes[at] === CLOSE_BRACE) break;
    if (bytes[at] !== COMMA) return malformed(into, start, at);
    at = skipBlanks(bytes, at + 1, end);
  }
  if (!hasId) refusal ||= ID_MISSING;
  if (!hasAmount) refusal ||= AMOUNT_MISSING;
  return atEnd(bytes, at + 1, start, end, into, refusal);
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
  const at = skipBlanks(bytes, from, end);
  return at === end ? result : malformed(into, start, at);
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
  // An escape is longer than what it stands for.
  if (end - start <= AMOUNT_KEY.length) return OTHER_KEY;
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
