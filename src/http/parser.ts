/**
 * HTTP/1.1 requests out of bytes (RFC 9112), for a server that must not be fooled: bytes in, offsets out.
 *
 * The parser is a state machine that stops at any byte and goes on there, so a client that sends byte by byte
 * costs no more than one that sends at once, and a request means the same however it was cut. It keeps
 * nothing but numbers: the caller owns the bytes, and keeps them together from `start` on (`keepEnd` says how
 * many) until the request is whole. Nothing is allocated for a request, and a refusal is a number too.
 *
 *     request line -> fields -> nothing | length bytes | chunks -> trailers
 */
import { COLON, CR, IS_TARGET, IS_TOKEN, IS_VALUE, LF, latin1, SLASH, SP } from './bytes.ts';
import { CHUNKS_DONE, ChunkReader } from './chunks.ts';
import { headRefusal, isKnownField, readField, readTrailer } from './fields.ts';
import {
  emptyLinesMax,
  headerBytesMax,
  headerCountMax,
  lineBytesMax,
  proxyBytesMax,
  proxyFieldsMax,
} from './limits.ts';
import { lineRefusal, nameRefusal, REFUSE, targetRefusal } from './refusals.ts';
import { EXPECTS_CONTINUE, IS_CHUNKED, methodNumber, OTHER, Request } from './request.ts';
import { arePlain, isVersion1 } from './swar.ts';
import { readTarget } from './target.ts';

/** More bytes are needed. A negative answer is minus the number of a refusal. */
export const PARTIAL = 0;
/** `request` is whole. */
export const COMPLETE = 1;
/** Never leaves the parser: this part is done, the next one begins. */
const NEXT = 2;

// Where the parser stands. The order counts: what is before LENGTH is the head.
const EMPTY_LINES = 0;
const METHOD = 1;
const TARGET = 2;
const VERSION = 3;
const FIELD = 4;
const NAME = 5;
const VALUE = 6;
const LENGTH = 7;
const CHUNKS = 8;
/** The three steps of a field again, for trailers. */
const TRAILER_FIELD = 9;
const TRAILER_STEPS = TRAILER_FIELD - FIELD;

const NO_VIEW = new DataView(new ArrayBuffer(0));

export class Parser {
  readonly request = new Request();
  /** The next byte to look at. */
  at = 0;
  /** The head is complete, the client waits for `100 Continue`, and nothing of the body is there yet. */
  continueIsDue = false;

  readonly #fieldBytesMax: number;
  readonly #fieldCountMax: number;
  #step = EMPTY_LINES;
  /** The first byte that this line or section must not reach. */
  #limit = 0;
  /** Where the present name, version or field began. */
  #mark = 0;
  #nameEnd = 0;
  #fieldCount = 0;
  #emptyLines = 0;
  readonly #chunks = new ChunkReader();
  /** The same bytes as `request.bytes`, four at a time. */
  #view: DataView = NO_VIEW;
  #otherBytes: Uint8Array | undefined;
  #otherView: DataView = NO_VIEW;

  /** `isBehindProxy`: a proxy keeps the limits of clients, and adds fields of its own. */
  constructor(isBehindProxy = false) {
    this.#fieldBytesMax = headerBytesMax + (isBehindProxy ? proxyBytesMax : 0);
    this.#fieldCountMax = headerCountMax + (isBehindProxy ? proxyFieldsMax : 0);
  }

  /** The bytes from here on belong to the request that is not whole yet. */
  get start(): number {
    return this.#step === EMPTY_LINES ? this.at : this.request.start;
  }

  /** Where the parser stands, as a number below 1024: the fuzzer looks for ways to every one of them. */
  get step(): number {
    return this.#step + (this.#step === CHUNKS ? this.#chunks.state * 16 : 0);
  }

  /** Whether a request has begun. */
  get isInside(): boolean {
    return this.#step !== EMPTY_LINES;
  }

  /** How far the bytes up to `end` must be kept: the framing of chunks is gone once it was read. */
  keepEnd(end: number): number {
    return this.#step === CHUNKS ? this.request.bodyEnd : end;
  }

  /** Tells that the kept bytes were moved down by `byteCount`, and that new bytes follow them directly. */
  rebase(byteCount: number): void {
    if (this.#step === CHUNKS) this.at = this.request.bodyEnd;
    this.at -= byteCount;
    this.#limit -= byteCount;
    this.#mark -= byteCount;
    this.#nameEnd -= byteCount;
    this.request.rebase(byteCount);
  }

  /** Makes ready for a request that begins at `at`, or after empty lines that begin there. */
  next(at: number): void {
    this.at = at;
    this.#step = EMPTY_LINES;
    this.#emptyLines = 0;
    // Here rather than where they are read: a refusal that comes before must not see those of the request
    // before.
    this.request.method = OTHER;
    this.request.flags = 0;
  }

  /**
   * Goes on at `this.at` up to `end`. COMPLETE leaves `this.at` behind the request; joined chunks have been
   * moved within `bytes`. After a refusal the parser must not be asked again.
   */
  parse(bytes: Uint8Array, end: number): number {
    if (this.request.bytes !== bytes) this.#use(bytes);
    let result = NEXT;
    while (result === NEXT) {
      const step = this.#step;
      if (step < FIELD) result = this.#line(bytes, end);
      else if (step < LENGTH) result = this.#fields(bytes, end, 0);
      else if (step === LENGTH) result = this.#length(end);
      else if (step === CHUNKS) result = this.#body(bytes, end);
      else result = this.#fields(bytes, end, TRAILER_STEPS);
    }
    return result;
  }

  /**
   * Looks at other bytes than before; a view is made once for each of the two arrays that mostly take turns.
   */
  #use(bytes: Uint8Array): void {
    const view =
      this.#otherBytes === bytes
        ? this.#otherView
        : new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#otherBytes = this.request.bytes;
    this.#otherView = this.#view;
    this.request.bytes = bytes;
    this.#view = view;
  }

  #wait(at: number, step: number): number {
    this.at = at;
    this.#step = step;
    return PARTIAL;
  }

  /**
   * `method SP request-target SP HTTP-version CRLF` (RFC 9112 section 3), empty lines before it passed over.
   */
  #line(bytes: Uint8Array, end: number): number {
    const { request } = this;
    let { at } = this;
    let step = this.#step;
    if (step === EMPTY_LINES) {
      while (at < end && bytes[at] === CR) {
        if (at + 1 === end) return this.#wait(at, EMPTY_LINES);
        if (bytes[at + 1] !== LF) return -REFUSE.bareCarriageReturn;
        if (++this.#emptyLines > emptyLinesMax) return -REFUSE.emptyLines;
        at += 2;
      }
      if (at === end) return this.#wait(at, EMPTY_LINES);
      request.start = at;
      this.#limit = at + lineBytesMax + 2;
      step = METHOD;
    }
    const stop = Math.min(end, this.#limit);
    if (step === METHOD) {
      while (at < stop && IS_TOKEN[bytes[at]!] === 1) at++;
      if (at === stop) return stop === this.#limit ? -REFUSE.requestLine : this.#wait(at, METHOD);
      if (bytes[at] !== SP || at === request.start) return -lineRefusal(bytes[at]!);
      request.methodEnd = at;
      request.method = methodNumber(bytes, request.start, at);
      request.targetStart = ++at;
      step = TARGET;
    }
    if (step === TARGET) {
      while (at < stop && IS_TARGET[bytes[at]!] === 1) at++;
      if (at === stop) return stop === this.#limit ? -REFUSE.lineTooLong : this.#wait(at, TARGET);
      if (bytes[at] !== SP || at === request.targetStart) return -targetRefusal(bytes[at]!);
      request.targetEnd = at++;
      this.#mark = at;
    }
    return this.#version(bytes, at, stop);
  }

  /**
   * `HTTP/1.1 CRLF` and the end of the request line; ten bytes at once, or one by one where they were cut.
   */
  #version(bytes: Uint8Array, from: number, stop: number): number {
    let at = from;
    if (at === this.#mark && at + 10 <= stop && isVersion1(this.#view, at)) at += 9;
    else
      for (; at < stop; at++) {
        const byte = bytes[at]!;
        const place = at - this.#mark;
        if (place === 5 || place === 7) {
          if (byte < 0x30 || byte > 0x39) return -lineRefusal(byte);
        } else if (byte !== VERSION_BYTES[place]) {
          return -(place === 9 ? REFUSE.bareCarriageReturn : lineRefusal(byte));
        }
        if (place === 9) break;
      }
    if (at === stop) return stop === this.#limit ? -REFUSE.lineTooLong : this.#wait(at, VERSION);

    const { request } = this;
    const minor = bytes[this.#mark + 7]! - 0x30;
    if (bytes[this.#mark + 5] !== 0x31 || minor > 1) return -REFUSE.version;
    request.minor = minor;
    request.pathStart = request.targetStart;
    request.authorityStart = 0;
    request.authorityEnd = 0;
    if (bytes[request.targetStart] !== SLASH && !readTarget(request, bytes)) return -REFUSE.targetForm;
    at++;
    request.contentLength = 0;
    request.route = 0;
    request.isAlone = false;
    request.fieldsStart = at;
    this.#fieldCount = 0;
    this.#limit = at + this.#fieldBytesMax;
    this.at = at;
    this.#step = FIELD;
    return NEXT;
  }

  /** `*( field-name ":" OWS field-value OWS CRLF ) CRLF`, of the header (`shift` 0) or of the trailers. */
  #fields(bytes: Uint8Array, end: number, shift: number): number {
    const limit = this.#limit;
    const stop = Math.min(end, limit);
    const view = this.#view;
    let { at } = this;
    let step = this.#step - shift;
    let mark = this.#mark;
    let nameEnd = this.#nameEnd;
    for (;;) {
      if (step === FIELD) {
        if (at === stop) break;
        if (bytes[at] === CR) {
          if (at + 1 === stop) break;
          if (bytes[at + 1] !== LF) return -REFUSE.bareCarriageReturn;
          this.at = at + 2;
          return shift === 0 ? this.#headIsWhole(end) : COMPLETE;
        }
        if (++this.#fieldCount > (shift === 0 ? this.#fieldCountMax : headerCountMax))
          return -REFUSE.headerTooMany;
        mark = at;
        step = NAME;
      }
      if (step === NAME) {
        while (at < stop && IS_TOKEN[bytes[at]!] === 1) at++;
        if (at === stop) break;
        if (bytes[at] !== COLON || at === mark) return -nameRefusal(bytes[at]!, at === mark);
        nameEnd = at++;
        step = VALUE;
      }
      while (at + 4 <= stop && arePlain(view.getInt32(at, true))) at += 4;
      while (at < stop && IS_VALUE[bytes[at]!] === 1) at++;
      if (at === stop) break;
      if (bytes[at] !== CR) return -(bytes[at] === LF ? REFUSE.bareLineFeed : REFUSE.fieldValue);
      if (at + 1 === stop) break;
      if (bytes[at + 1] !== LF) return -REFUSE.bareCarriageReturn;
      if (shift !== 0) {
        const refusal = readTrailer(bytes, mark, nameEnd);
        if (refusal !== 0) return -refusal;
      } else if (isKnownField(nameEnd - mark, bytes[mark]!)) {
        const refusal = readField(this.request, bytes, mark, nameEnd, nameEnd + 1, at);
        if (refusal !== 0) return -refusal;
      }
      at += 2;
      step = FIELD;
    }
    if (stop === limit) return -REFUSE.headerTooLarge;
    this.#mark = mark;
    this.#nameEnd = nameEnd;
    return this.#wait(at, step + shift);
  }

  /** What comes behind the head (RFC 9112 section 6.3). */
  #headIsWhole(end: number): number {
    const { request, at } = this;
    request.bodyStart = at;
    const refusal = this.#excess(at - request.fieldsStart) || headRefusal(request);
    if (refusal !== 0) return -refusal;
    const { flags } = request;
    request.bodyEnd = at + request.contentLength;
    const isChunked = (flags & IS_CHUNKED) !== 0;
    if (!isChunked && request.contentLength === 0) return COMPLETE;
    // RFC 9110 section 10.1.1: HTTP/1.0 never gets a 1xx, and who sends the body already waits for none.
    this.continueIsDue = (flags & EXPECTS_CONTINUE) !== 0 && request.minor === 1 && at === end;
    this.#step = isChunked ? CHUNKS : LENGTH;
    if (isChunked) this.#chunks.reset();
    return NEXT;
  }

  /** What is allowed for a proxy's own field is not for a client that comes without it: 0 or a refusal. */
  #excess(fieldBytes: number): number {
    const isTooLarge = fieldBytes > headerBytesMax;
    if (!isTooLarge && this.#fieldCount <= headerCountMax) return 0;
    if (this.request.header('x-forwarded-for') !== undefined) return 0;
    return isTooLarge ? REFUSE.headerTooLarge : REFUSE.headerTooMany;
  }

  #length(end: number): number {
    const { bodyEnd } = this.request;
    if (end < bodyEnd) return this.#wait(end, LENGTH);
    this.at = bodyEnd;
    return COMPLETE;
  }

  #body(bytes: Uint8Array, end: number): number {
    const { request } = this;
    const chunks = this.#chunks;
    chunks.at = this.at;
    const result = chunks.read(request, bytes, end);
    this.at = chunks.at;
    if (result !== CHUNKS_DONE) return result;
    this.#fieldCount = 0;
    this.#limit = this.at + headerBytesMax;
    this.#step = TRAILER_FIELD;
    return NEXT;
  }
}

const VERSION_BYTES = latin1('HTTP/1.1\r\n');
