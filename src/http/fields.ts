/**
 * The few fields that frame, route or steer a request. Each rule says 0 or the number of a refusal.
 *
 * What could mean two things to two parsers is refused rather than repaired: a proxy in front may have
 * repaired it the other way.
 */
import {
  COLON,
  COMMA,
  equalsIgnoringCase,
  HEX,
  IS_HOST,
  IS_TOKEN,
  LOWER,
  latin1,
  PERCENT,
  SEMICOLON,
  SP,
  TAB,
} from './bytes.ts';
import { lengthDigitsMax } from './limits.ts';
import { REFUSE } from './refusals.ts';
import {
  EXPECTS_CONTINUE,
  EXPECTS_OTHER,
  HAS_CODING,
  HAS_HOST,
  HAS_LENGTH,
  IS_CHUNKED,
  type Request,
  SAYS_CLOSE,
  SAYS_KEEP_ALIVE,
  UNKNOWN_CODING,
} from './request.ts';

const HOST = latin1('host');
const EXPECT = latin1('expect');
const CONNECTION = latin1('connection');
const CONTENT_LENGTH = latin1('content-length');
const TRANSFER_ENCODING = latin1('transfer-encoding');

const CHUNKED = latin1('chunked');
const CLOSE = latin1('close');
const KEEP_ALIVE = latin1('keep-alive');
const CONTINUE = latin1('100-continue');

/** Lengths of the names that `readField` knows: a look at this table spares nearly every field the rest. */
export const IS_KNOWN_LENGTH = Uint8Array.from({ length: 32 }, (_, length) =>
  [HOST, EXPECT, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].some(name => name.length === length) ? 1 : 0,
);

/** Fields that a trailer section must not bring (RFC 9110 section 6.5.1): framing, routing, steering, credentials. */
const NOT_IN_TRAILERS = [
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
].map(latin1);

/** Takes in one field line; `valueStart` and `valueEnd` may still have white space inside. */
export function readField(
  request: Request,
  bytes: Uint8Array,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): number {
  let start = valueStart;
  let end = valueEnd;
  while (start < end && isBlank(bytes[start]!)) start++;
  while (end > start && isBlank(bytes[end - 1]!)) end--;
  switch (nameEnd - nameStart) {
    case 4:
      return equalsIgnoringCase(bytes, nameStart, nameEnd, HOST) ? readHost(request, bytes, start, end) : 0;
    case 6:
      return equalsIgnoringCase(bytes, nameStart, nameEnd, EXPECT)
        ? readExpect(request, bytes, start, end)
        : 0;
    case 10:
      return equalsIgnoringCase(bytes, nameStart, nameEnd, CONNECTION)
        ? readConnection(request, bytes, start, end)
        : 0;
    case 14:
      return equalsIgnoringCase(bytes, nameStart, nameEnd, CONTENT_LENGTH)
        ? readLength(request, bytes, start, end)
        : 0;
    case 17:
      return equalsIgnoringCase(bytes, nameStart, nameEnd, TRANSFER_ENCODING)
        ? readCoding(request, bytes, start, end)
        : 0;
    default:
      return 0;
  }
}

/** Takes in one line of a trailer section: nothing is kept, and what could change the message is refused. */
export function readTrailer(bytes: Uint8Array, nameStart: number, nameEnd: number): number {
  for (const name of NOT_IN_TRAILERS) {
    if (equalsIgnoringCase(bytes, nameStart, nameEnd, name)) return REFUSE.trailerField;
  }
  return 0;
}

function isBlank(byte: number): boolean {
  return byte === SP || byte === TAB;
}

function readHost(request: Request, bytes: Uint8Array, start: number, end: number): number {
  if ((request.flags & HAS_HOST) !== 0) return REFUSE.hostTwice;
  if (!isAuthority(bytes, start, end)) return REFUSE.hostInvalid;
  request.flags |= HAS_HOST;
  request.hostStart = start;
  request.hostEnd = end;
  return 0;
}

/** `uri-host [ ":" port ]` of RFC 9110 section 4.2.1 with a host that is not empty. */
export function isAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  if (bytes[at] === 0x5b) {
    // "[" IPv6address "]": the digits are checked, not their number; nothing here connects to it.
    at++;
    while (at < end && (HEX[bytes[at]!]! >= 0 || bytes[at] === COLON || bytes[at] === 0x2e)) at++;
    if (at === start + 1 || at === end || bytes[at] !== 0x5d) return false;
    at++;
  } else {
    while (at < end) {
      const byte = bytes[at]!;
      if (IS_HOST[byte] === 1) at++;
      else if (byte === PERCENT && at + 2 < end && HEX[bytes[at + 1]!]! >= 0 && HEX[bytes[at + 2]!]! >= 0)
        at += 3;
      else break;
    }
    if (at === start) return false;
  }
  if (at === end) return true;
  if (bytes[at] !== COLON) return false;
  let port = 0;
  for (at++; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
    if (port > 65_535) return false;
  }
  return true;
}

function readExpect(request: Request, bytes: Uint8Array, start: number, end: number): number {
  request.flags |= equalsIgnoringCase(bytes, start, end, CONTINUE) ? EXPECTS_CONTINUE : EXPECTS_OTHER;
  return 0;
}

/** RFC 9110 section 7.6.1. A proxy would drop the fields named here, and read another message than we do. */
function readConnection(request: Request, bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end) {
    while (at < end && (isBlank(bytes[at]!) || bytes[at] === COMMA)) at++;
    const option = at;
    while (at < end && bytes[at] !== COMMA) at++;
    let optionEnd = at;
    while (optionEnd > option && isBlank(bytes[optionEnd - 1]!)) optionEnd--;
    switch (optionEnd - option) {
      case 4:
        if (equalsIgnoringCase(bytes, option, optionEnd, HOST)) return REFUSE.connectionOption;
        break;
      case 5:
        if (equalsIgnoringCase(bytes, option, optionEnd, CLOSE)) request.flags |= SAYS_CLOSE;
        break;
      case 10:
        if (equalsIgnoringCase(bytes, option, optionEnd, KEEP_ALIVE)) request.flags |= SAYS_KEEP_ALIVE;
        break;
      case 14:
        if (equalsIgnoringCase(bytes, option, optionEnd, CONTENT_LENGTH)) return REFUSE.connectionOption;
        break;
      case 17:
        if (equalsIgnoringCase(bytes, option, optionEnd, TRANSFER_ENCODING)) return REFUSE.connectionOption;
        break;
      default:
    }
  }
  return 0;
}

/** RFC 9110 section 8.6: `1*DIGIT`. Repeated and listed lengths are refused even where they are equal. */
function readLength(request: Request, bytes: Uint8Array, start: number, end: number): number {
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
 * RFC 9112 section 6.1. Several fields are one list. Empty elements, parameters of `chunked` and anything that
 * is no token are refused, because parsers disagree about them.
 */
function readCoding(request: Request, bytes: Uint8Array, start: number, end: number): number {
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

/** Whether the authority of an absolute-form target is the Host field's value (RFC 9112 section 3.2). */
export function authorityIsHost(request: Request): boolean {
  const { bytes, authorityStart, hostStart } = request;
  const length = request.authorityEnd - authorityStart;
  if (length !== request.hostEnd - hostStart) return false;
  for (let at = 0; at < length; at++) {
    if (LOWER[bytes[authorityStart + at]!] !== LOWER[bytes[hostStart + at]!]) return false;
  }
  return true;
}
