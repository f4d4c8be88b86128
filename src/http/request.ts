/**
 * One request as offsets into the bytes it came in. There is one of these for each connection, used again
 * for each request: a handler may look at it until it returns, and not after its first `await`.
 */
import { COLON, equalsIgnoringCase, LF, latin1, QUESTION, textOf } from './bytes.ts';

/** The methods that are told apart; the place in this list is the method's number. 0 is any other. */
export const METHODS = [
  'other',
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'QUERY',
] as const;
export const OTHER = 0;
export const GET = 1;
export const HEAD = 2;
export const POST = 3;
export const OPTIONS = 7;
export const CONNECT = 9;

/** What the fields of a request said, one bit each. */
export const HAS_HOST = 1;
export const HAS_LENGTH = 2;
export const HAS_CODING = 4;
export const IS_CHUNKED = 8;
export const UNKNOWN_CODING = 16;
export const SAYS_CLOSE = 32;
export const SAYS_KEEP_ALIVE = 64;
export const EXPECTS_CONTINUE = 128;
export const EXPECTS_OTHER = 256;
export const HAS_REQUEST_ID = 512;
export const HAS_TRACE = 1024;
export const HAS_ORIGIN = 2048;
export const HAS_FETCH_SITE = 4096;
export const IS_CROSS_SITE = 8192;
/** Any of the fields that a browser adds, and a program does not. */
export const FROM_BROWSER = HAS_ORIGIN | HAS_FETCH_SITE;

/** In place of the address of a client on a Unix socket. */
export const LOCAL = 'local';

export class Request {
  /** Holds every offset below. */
  bytes: Uint8Array = new Uint8Array(0);
  /** A place in `METHODS`. */
  method = OTHER;
  /** 0 or 1: the second digit of the version. */
  minor = 1;
  /** The method stands in [start, methodEnd). */
  start = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /**
   * The target without scheme and authority, query included: [pathStart, targetEnd). Empty stands for `/`.
   */
  pathStart = 0;
  /** The authority of an absolute-form target; empty in other forms. */
  authorityStart = 0;
  authorityEnd = 0;
  hostStart = 0;
  hostEnd = 0;
  /** With HAS_REQUEST_ID: the id to echo; empty where the field's value is none, or the field came twice. */
  requestIdStart = 0;
  requestIdEnd = 0;
  /** With HAS_TRACE: the value of `traceparent`, not yet looked at; empty where the field came twice. */
  traceStart = 0;
  traceEnd = 0;
  /** With HAS_ORIGIN: the value of `Origin`; empty where the field came twice. */
  originStart = 0;
  originEnd = 0;
  /** The field lines stand in [fieldsStart, bodyStart). */
  fieldsStart = 0;
  /** The body, chunks already joined: [bodyStart, bodyEnd). */
  bodyStart = 0;
  bodyEnd = 0;
  contentLength = 0;
  /** Bits of what the fields said. */
  flags = 0;
  /** Free for the handler: the number of the route, for counters. */
  route = 0;
  /**
   * Set by the handler: while this answer is only promised, its connection parses no further request. So a
   * client has one answer at a time that is costly to make.
   */
  isAlone = false;

  /** The method as it was sent. */
  get methodName(): string {
    return textOf(this.bytes, this.start, this.methodEnd);
  }

  /** Where the path ends and the query, if any, begins. */
  get pathEnd(): number {
    for (let at = this.pathStart; at < this.targetEnd; at++) if (this.bytes[at] === QUESTION) return at;
    return this.targetEnd;
  }

  /** The path as it was sent, not decoded; never empty. */
  get path(): string {
    return textOf(this.bytes, this.pathStart, this.pathEnd) || '/';
  }

  /** The query as it was sent, without its question mark; undefined where there is none. */
  get query(): string | undefined {
    const end = this.pathEnd;
    return end === this.targetEnd ? undefined : textOf(this.bytes, end + 1, this.targetEnd);
  }

  /**
   * The value of the field with this name in any case, one character for each byte; of several such fields
   * all, joined by commas (RFC 9110 section 5.3). A slow look.
   */
  header(name: string): string | undefined {
    const wanted = latin1(name.toLowerCase());
    const { bytes } = this;
    let value: string | undefined;
    let at = this.fieldsStart;
    while (at < this.bodyStart - 2) {
      const colon = at + wanted.length;
      let end = at;
      while (bytes[end] !== LF) end++;
      if (bytes[colon] === COLON && equalsIgnoringCase(bytes, at, colon, wanted)) {
        const more = textOf(bytes, colon + 1, end - 1).trim();
        value = value === undefined ? more : `${value}, ${more}`;
      }
      at = end + 1;
    }
    return value;
  }

  /** A copy of the body. */
  body(): Uint8Array {
    // Of a Buffer, `slice` would be a view of bytes that the next read overwrites.
    return Uint8Array.from(this.bytes.subarray(this.bodyStart, this.bodyEnd));
  }

  /** Everything moved down by `byteCount`. */
  rebase(byteCount: number): void {
    this.start -= byteCount;
    this.methodEnd -= byteCount;
    this.targetStart -= byteCount;
    this.targetEnd -= byteCount;
    this.pathStart -= byteCount;
    this.authorityStart -= byteCount;
    this.authorityEnd -= byteCount;
    this.hostStart -= byteCount;
    this.hostEnd -= byteCount;
    this.requestIdStart -= byteCount;
    this.requestIdEnd -= byteCount;
    this.traceStart -= byteCount;
    this.traceEnd -= byteCount;
    this.originStart -= byteCount;
    this.originEnd -= byteCount;
    this.fieldsStart -= byteCount;
    this.bodyStart -= byteCount;
    this.bodyEnd -= byteCount;
  }
}

const METHOD_BYTES = METHODS.map(latin1);

/** The number of the method in [start, end). */
export function methodNumber(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length === 4 && bytes[start] === 0x50 && bytes[start + 1] === 0x4f) {
    if (bytes[start + 2] === 0x53 && bytes[start + 3] === 0x54) return POST;
  }
  if (length === 3 && bytes[start] === 0x47 && bytes[start + 1] === 0x45 && bytes[start + 2] === 0x54)
    return GET;
  for (let method = HEAD; method < METHODS.length; method++) {
    const name = METHOD_BYTES[method]!;
    if (name.length !== length) continue;
    let at = 0;
    while (at < length && bytes[start + at] === name[at]) at++;
    if (at === length) return method;
  }
  return OTHER;
}
