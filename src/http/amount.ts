/**
 * Exact cents of a JSON number, digit by digit: `19.9`, `19.90` and `1990e-2` are the same 1990 cents, and no
 * binary fraction comes near them.
 */
import { CLOSE_BRACE, COMMA, DOT, MINUS, SP } from './bytes.ts';

/** Zero or less. */
export const AMOUNT_TOO_SMALL = -1;
/** More than two decimals after evaluation. */
export const AMOUNT_TOO_FINE = -2;
/** More than 9,999,999,999.99. */
export const AMOUNT_TOO_LARGE = -3;

/** 9,999,999,999.99 has its first digit at 10^9. */
const FIRST_POWER_MAX = 9;
/** Far beyond any number that a body has room to write out, and far from where adding loses digits. */
const EXPONENT_MAX = 1_000_000;

/**
 * An amount as nearly all are written, at most nine digits and two decimals and more than 0, into
 * `into.cents`. Answers the place behind it, or 0 for all others, which are then read the long way.
 */
export function readPlainAmount(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: { cents: number },
): number {
  let at = start;
  let cents = 0;
  let digit = at < end ? bytes[at]! - 0x30 : -1;
  if (digit === 0) digit = ++at < end ? bytes[at]! - 0x30 : -1;
  else {
    while (digit >= 0 && digit <= 9 && at - start < 9) {
      cents = cents * 10 + digit;
      digit = ++at < end ? bytes[at]! - 0x30 : -1;
    }
    if (at === start) return 0;
  }
  cents *= 100;
  if (digit === DOT - 0x30 && at + 2 < end) {
    digit = bytes[++at]! - 0x30;
    if (digit < 0 || digit > 9) return 0;
    cents += digit * 10;
    digit = bytes[++at]! - 0x30;
    if (digit >= 0 && digit <= 9) {
      cents += digit;
      digit = ++at < end ? bytes[at]! - 0x30 : -1;
    }
  }
  // A further digit, point or exponent belongs to the number still.
  if (at >= end || cents === 0) return 0;
  const byte = bytes[at]!;
  if (byte !== COMMA && byte !== CLOSE_BRACE && byte > SP) return 0;
  into.cents = cents;
  return at;
}

/**
 * The cents of any valid JSON number in [start, end), however long and with an exponent of however many
 * digits, or one of the negative answers above.
 */
export function centsOf(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[start] === MINUS) return AMOUNT_TOO_SMALL;
  let at = start;
  let count = 0; // of digits before the exponent, leading zeros included
  let point = -1; // the number of digits before the decimal point
  let first = -1; // the place of the first digit that is not zero, among the digits
  let last = -1; // and of the last one
  for (; at < end && (bytes[at]! | 0x20) !== 0x65; at++) {
    if (bytes[at] === DOT) point = count;
    else {
      if (bytes[at] !== 0x30) {
        if (first < 0) first = count;
        last = count;
      }
      count++;
    }
  }
  if (first < 0) return AMOUNT_TOO_SMALL;
  if (point < 0) point = count;
  const exponent = at < end ? exponentAt(bytes, at + 1, end) : 0;
  // The digit at place p stands for 10 to the power of (point - 1 - p + exponent).
  if (point - 1 - last + exponent < -2) return AMOUNT_TOO_FINE;
  if (point - 1 - first + exponent > FIRST_POWER_MAX) return AMOUNT_TOO_LARGE;
  let cents = 0;
  let place = 0;
  for (let digit = start; place <= last; digit++) {
    if (bytes[digit] === DOT) continue;
    if (place >= first) cents = cents * 10 + bytes[digit]! - 0x30;
    place++;
  }
  for (let power = point - 1 - last + exponent; power > -2; power--) cents *= 10;
  return cents;
}

/** The exponent written at `from`, as far as `EXPONENT_MAX`. */
function exponentAt(bytes: Uint8Array, from: number, end: number): number {
  const isNegative = bytes[from] === MINUS;
  let value = 0;
  for (let at = isNegative || bytes[from] === 0x2b ? from + 1 : from; at < end; at++) {
    value = Math.min(value * 10 + bytes[at]! - 0x30, EXPONENT_MAX);
  }
  return isNegative ? -value : value;
}
