/**
 * How long a body is: the two fields that say it, and what they mean together (RFC 9112 section 6).
 *
 * Two parsers that see a body end at two places see two different requests behind it, so nothing here is
 * repaired.
 */
import { COMMA, equalsIgnoringCase, IS_TOKEN, isBlank, latin1, SEMICOLON } from './bytes.ts';
import { lengthDigitsMax } from './limits.ts';
import { REFUSE } from './refusals.ts';
import { HAS_CODING, HAS_LENGTH, IS_CHUNKED, type Request, UNKNOWN_CODING } from './request.ts';

const CHUNKED = latin1('chunked');

/** RFC 9110 section 8.6: `1*DIGIT`. Repeated and listed lengths are refused even where they are equal. */
export function readLength(request: Request, bytes: Uint8Array, start: number, end: number): number {
  if ((request.flags & HAS_LENGTH) !== 0) return REFUSE.lengthTwice;
  if (start === end || end - start > lengthDigitsMax) return REFUSE.lengthInvalid;
  let length = 0;
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return REFUSE.lengthInvalid;
    length = length * 10 + digit;
  }
  request.flags |= HAS_LENGTH;
  request.contentLength = length;
  return 0;
}

/**
 * RFC 9112 section 6.1. Several fields are one list. Empty elements, parameters of `chunked` and anything
 * that is no token are refused, because parsers disagree about them.
 */
export function readCoding(request: Request, bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (;;) {
    const coding = at;
    while (at < end && IS_TOKEN[bytes[at]!] === 1) at++;
    if (at === coding) return REFUSE.codingInvalid;
    if ((request.flags & IS_CHUNKED) !== 0) return REFUSE.codingOrder;
    const isChunked = equalsIgnoringCase(bytes, coding, at, CHUNKED);
    request.flags |= HAS_CODING | (isChunked ? IS_CHUNKED : UNKNOWN_CODING);
    while (at < end && isBlank(bytes[at]!)) at++;
    if (at < end && bytes[at] === SEMICOLON && !isChunked) {
      while (at < end && bytes[at] !== COMMA) at++;
    }
    if (at === end) return 0;
    if (bytes[at] !== COMMA) return REFUSE.codingInvalid;
    at++;
    while (at < end && isBlank(bytes[at]!)) at++;
  }
}

/**
 * Whether the fields leave one way to find the body's end (RFC 9112 section 6.3): 0 or the number of a
 * refusal.
 */
export function framingRefusal({ flags, minor }: Request): number {
  if ((flags & HAS_CODING) === 0) return 0;
  if ((flags & HAS_LENGTH) !== 0) return REFUSE.lengthAndCoding;
  if (minor === 0) return REFUSE.codingOld;
  if ((flags & IS_CHUNKED) === 0) return REFUSE.codingUnknown;
  return (flags & UNKNOWN_CODING) !== 0 ? REFUSE.codingUnknown : 0;
}
