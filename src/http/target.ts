/**
 * Where a request is for: its target in all its forms, and its Host (RFC 9112 section 3.2).
 *
 * Nothing here is served by name, but whoever stands in front may choose by it, so both have to name one
 * host.
 */
import {
  CLOSE_BRACKET,
  COLON,
  DOT,
  HEX,
  IS_HOST,
  LOWER,
  latin1,
  OPEN_BRACKET,
  PERCENT,
  QUESTION,
  SLASH,
  STAR,
} from './bytes.ts';
import { REFUSE } from './refusals.ts';
import { CONNECT, HAS_HOST, OPTIONS, type Request } from './request.ts';

/** The target forms other than the origin form (RFC 9112 section 3.2); false for none of them. */
export function readTarget(request: Request, bytes: Uint8Array): boolean {
  const { targetStart, targetEnd, method } = request;
  if (method === CONNECT) return true;
  if (targetEnd - targetStart === 1 && bytes[targetStart] === STAR) return method === OPTIONS;
  // ( "http://" | "https://" ) authority path-abempty [ "?" query ], the scheme in any case.
  let at = targetStart;
  while (at < targetEnd && at - targetStart < 4) {
    if (LOWER[bytes[at]!] !== SCHEME[at - targetStart]) return false;
    at++;
  }
  if (LOWER[bytes[at]!] === SMALL_S) at++;
  for (const byte of SCHEME_END) if (at >= targetEnd || bytes[at++] !== byte) return false;
  request.authorityStart = at;
  while (at < targetEnd && bytes[at] !== SLASH && bytes[at] !== QUESTION) at++;
  request.authorityEnd = at;
  request.pathStart = at;
  return isAuthority(bytes, request.authorityStart, at);
}

const SCHEME = latin1('http');
const SMALL_S = 0x73;
const SCHEME_END = latin1('://');

/** Takes in the value of a Host field: 0 or the number of a refusal. */
export function readHost(request: Request, bytes: Uint8Array, start: number, end: number): number {
  if ((request.flags & HAS_HOST) !== 0) return REFUSE.hostTwice;
  if (!isAuthority(bytes, start, end)) return REFUSE.hostInvalid;
  request.flags |= HAS_HOST;
  request.hostStart = start;
  request.hostEnd = end;
  return 0;
}

/** What Host and target mean together (RFC 9112 section 3.2): 0 or the number of a refusal. */
export function hostRefusal(request: Request): number {
  if ((request.flags & HAS_HOST) === 0) return request.minor === 1 ? REFUSE.hostMissing : 0;
  const isAbsolute = request.authorityEnd !== request.authorityStart;
  return isAbsolute && !authorityIsHost(request) ? REFUSE.hostDiffers : 0;
}

function authorityIsHost(request: Request): boolean {
  const { bytes, authorityStart, hostStart } = request;
  const length = request.authorityEnd - authorityStart;
  if (length !== request.hostEnd - hostStart) return false;
  for (let at = 0; at < length; at++) {
    if (LOWER[bytes[authorityStart + at]!] !== LOWER[bytes[hostStart + at]!]) return false;
  }
  return true;
}

/** `uri-host [ ":" port ]` of RFC 9110 section 4.2.1 with a host that is not empty. */
function isAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  if (bytes[at] === OPEN_BRACKET) {
    // "[" IPv6address "]": the digits are checked, not their number; nothing here connects to it.
    at++;
    while (at < end && (HEX[bytes[at]!]! >= 0 || bytes[at] === COLON || bytes[at] === DOT)) at++;
    if (at === start + 1 || at === end || bytes[at] !== CLOSE_BRACKET) return false;
    at++;
  } else {
    for (;;) {
      while (at < end && IS_HOST[bytes[at]!] === 1) at++;
      if (at + 2 >= end || bytes[at] !== PERCENT) break;
      if (HEX[bytes[at + 1]!]! < 0 || HEX[bytes[at + 2]!]! < 0) break;
      at += 3;
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
