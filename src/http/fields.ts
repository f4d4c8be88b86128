/**
 * The few fields that frame, route, steer or name a request. Each rule says 0 or the number of a refusal.
 *
 * What could mean two things to two parsers is refused rather than repaired: a proxy in front may have
 * repaired it the other way.
 */
import { COMMA, equalsIgnoringCase, IS_VISIBLE, isBlank, latin1 } from './bytes.ts';
import { framingRefusal, readCoding, readLength } from './framing.ts';
import { bodyBytesMax, requestIdBytesMax } from './limits.ts';
import { REFUSE } from './refusals.ts';
import {
  CONNECT,
  EXPECTS_CONTINUE,
  EXPECTS_OTHER,
  HAS_FETCH_SITE,
  HAS_ORIGIN,
  HAS_REQUEST_ID,
  HAS_TRACE,
  IS_CROSS_SITE,
  type Request,
  SAYS_CLOSE,
  SAYS_KEEP_ALIVE,
} from './request.ts';
import { fourLower, wordOf } from './swar.ts';
import { hostRefusal, readHost } from './target.ts';

const HOST = latin1('host');
const CONTENT_LENGTH = latin1('content-length');
const TRANSFER_ENCODING = latin1('transfer-encoding');

const CLOSE = latin1('close');
const KEEP_ALIVE = latin1('keep-alive');
const CONTINUE = latin1('100-continue');
const CROSS_SITE = latin1('cross-site');

/**
 * 1 for each length and first letter of a name that `readField` knows: a look at this table spares nearly
 * every field the rest. `Content-Type` is as long as `X-Request-Id`, and `User-Agent` as `Connection`.
 */
const IS_KNOWN = new Uint8Array(32 * 32);
for (const name of [
  'host',
  'expect',
  'origin',
  'connection',
  'traceparent',
  'x-request-id',
  'content-length',
  'sec-fetch-site',
  'transfer-encoding',
]) {
  IS_KNOWN[(name.length << 5) | (name.charCodeAt(0) & 31)] = 1;
}

/** Whether a name with this length and first letter may be one that `readField` knows. */
export const isKnownField = (length: number, first: number): boolean =>
  length < 32 && IS_KNOWN[(length << 5) | (first & 31)] === 1;

// Names are compared in words: it halves the time that a request's known fields take.
const HOST_0 = wordOf('host', 0);
const EXPECT_0 = wordOf('expect', 0);
const EXPECT_2 = wordOf('expect', 2);
const ORIGIN_0 = wordOf('origin', 0);
const ORIGIN_2 = wordOf('origin', 2);
const KEEP_0 = wordOf('keep-alive', 0);
const KEEP_4 = wordOf('keep-alive', 4);
const KEEP_6 = wordOf('keep-alive', 6);
const CONNECTION_0 = wordOf('connection', 0);
const CONNECTION_4 = wordOf('connection', 4);
const CONNECTION_6 = wordOf('connection', 6);
const TRACE_0 = wordOf('traceparent', 0);
const TRACE_4 = wordOf('traceparent', 4);
const TRACE_7 = wordOf('traceparent', 7);
const ID_0 = wordOf('x-request-id', 0);
const ID_4 = wordOf('x-request-id', 4);
const ID_8 = wordOf('x-request-id', 8);
const SITE_0 = wordOf('sec-fetch-site', 0);
const SITE_4 = wordOf('sec-fetch-site', 4);
const SITE_8 = wordOf('sec-fetch-site', 8);
const SITE_10 = wordOf('sec-fetch-site', 10);
const LENGTH_0 = wordOf('content-length', 0);
const LENGTH_4 = wordOf('content-length', 4);
const LENGTH_8 = wordOf('content-length', 8);
const LENGTH_10 = wordOf('content-length', 10);

/**
 * Fields that a trailer section must not bring (RFC 9110 section 6.5.1): framing, routing, steering,
 * credentials.
 */
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
  let at = nameStart;
  // Of two names of one length: it is the one that few requests have.
  let isOther = false;
  switch (nameEnd - nameStart) {
    case 4:
      if (fourLower(bytes, at) !== HOST_0) return 0;
      break;
    case 6:
      isOther = fourLower(bytes, at) === ORIGIN_0 && fourLower(bytes, at + 2) === ORIGIN_2;
      if (isOther) break;
      if (fourLower(bytes, at) !== EXPECT_0 || fourLower(bytes, at + 2) !== EXPECT_2) return 0;
      break;
    case 10:
      if (fourLower(bytes, at) !== CONNECTION_0 || fourLower(bytes, at + 4) !== CONNECTION_4) return 0;
      if (fourLower(bytes, at + 6) !== CONNECTION_6) return 0;
      break;
    case 11:
      if (fourLower(bytes, at) !== TRACE_0 || fourLower(bytes, at + 4) !== TRACE_4) return 0;
      if (fourLower(bytes, at + 7) !== TRACE_7) return 0;
      break;
    case 12:
      if (
        fourLower(bytes, at) !== ID_0 ||
        fourLower(bytes, at + 4) !== ID_4 ||
        fourLower(bytes, at + 8) !== ID_8
      )
        return 0;
      break;
    case 14:
      isOther =
        fourLower(bytes, at) === SITE_0 &&
        fourLower(bytes, at + 4) === SITE_4 &&
        fourLower(bytes, at + 8) === SITE_8 &&
        fourLower(bytes, at + 10) === SITE_10;
      if (isOther) break;
      if (fourLower(bytes, at) !== LENGTH_0 || fourLower(bytes, at + 4) !== LENGTH_4) return 0;
      if (fourLower(bytes, at + 8) !== LENGTH_8 || fourLower(bytes, at + 10) !== LENGTH_10) return 0;
      break;
    default:
      if (!equalsIgnoringCase(bytes, nameStart, nameEnd, TRANSFER_ENCODING)) return 0;
  }
  at = valueStart;
  let end = valueEnd;
  while (at < end && isBlank(bytes[at]!)) at++;
  while (end > at && isBlank(bytes[end - 1]!)) end--;
  switch (nameEnd - nameStart) {
    case 4:
      return readHost(request, bytes, at, end);
    case 6:
      return isOther ? readOrigin(request, at, end) : readExpect(request, bytes, at, end);
    case 10:
      return readConnection(request, bytes, at, end);
    case 11:
      return readTrace(request, at, end);
    case 12:
      return readRequestId(request, bytes, at, end);
    case 14:
      return isOther ? readFetchSite(request, bytes, at, end) : readLength(request, bytes, at, end);
    default:
      return readCoding(request, bytes, at, end);
  }
}

/** Takes in one line of a trailer section: nothing is kept, and what could change the message is refused. */
export function readTrailer(bytes: Uint8Array, nameStart: number, nameEnd: number): number {
  for (const name of NOT_IN_TRAILERS) {
    if (equalsIgnoringCase(bytes, nameStart, nameEnd, name)) return REFUSE.trailerField;
  }
  return 0;
}

function readExpect(request: Request, bytes: Uint8Array, start: number, end: number): number {
  request.flags |= equalsIgnoringCase(bytes, start, end, CONTINUE) ? EXPECTS_CONTINUE : EXPECTS_OTHER;
  return 0;
}

/** The origin of the page that sends it (RFC 6454 section 7.3). */
function readOrigin(request: Request, start: number, end: number): number {
  const isFirst = (request.flags & HAS_ORIGIN) === 0;
  request.flags |= HAS_ORIGIN;
  request.originStart = start;
  request.originEnd = isFirst ? end : start;
  return 0;
}

/** How that origin and ours are related (W3C Fetch Metadata). */
function readFetchSite(request: Request, bytes: Uint8Array, start: number, end: number): number {
  request.flags |= HAS_FETCH_SITE;
  if (equalsIgnoringCase(bytes, start, end, CROSS_SITE)) request.flags |= IS_CROSS_SITE;
  return 0;
}

/** RFC 9110 section 7.6.1. A proxy would drop the fields named here, and read another message than we do. */
function readConnection(request: Request, bytes: Uint8Array, start: number, end: number): number {
  if (end - start === 10 && fourLower(bytes, start) === KEEP_0 && fourLower(bytes, start + 4) === KEEP_4) {
    if (fourLower(bytes, start + 6) === KEEP_6) {
      request.flags |= SAYS_KEEP_ALIVE;
      return 0;
    }
  }
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

/**
 * Whether the value means anything is asked only where a payment is accepted; that of one of several would be
 * a guess.
 */
function readTrace(request: Request, start: number, end: number): number {
  const isFirst = (request.flags & HAS_TRACE) === 0;
  request.flags |= HAS_TRACE;
  request.traceStart = start;
  request.traceEnd = isFirst ? end : start;
  return 0;
}

/**
 * An id may be anything, so one that is not echoed is no fault: it is passed over as any unknown field is.
 */
function readRequestId(request: Request, bytes: Uint8Array, start: number, end: number): number {
  const isFirst = (request.flags & HAS_REQUEST_ID) === 0;
  request.flags |= HAS_REQUEST_ID;
  request.requestIdStart = start;
  request.requestIdEnd = start;
  if (!isFirst || end - start > requestIdBytesMax) return 0;
  for (let at = start; at < end; at++) if (IS_VISIBLE[bytes[at]!] !== 1) return 0;
  request.requestIdEnd = end;
  return 0;
}

/** What the fields of a whole head mean together: 0 or the number of a refusal. */
export function headRefusal(request: Request): number {
  const refusal = hostRefusal(request) || framingRefusal(request);
  if (refusal !== 0) return refusal;
  if (request.method === CONNECT) return REFUSE.connectMethod;
  if ((request.flags & EXPECTS_OTHER) !== 0) return REFUSE.expectation;
  return request.contentLength > bodyBytesMax ? REFUSE.bodyTooLarge : 0;
}
