/**
 * The chunked coding (RFC 9112 section 7.1), joined in place as it comes.
 *
 *     chunk      = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
 *     chunk-ext  = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
 *     last-chunk = 1*( "0" ) [ chunk-ext ] CRLF
 *
 * Sizes and extensions have been the way round many parsers, so every byte of them goes through one table:
 * state and class of the byte give the next state. White space directly after the size is refused.
 */
import { BACKSLASH, CR, EQUALS, HEX, IS_TOKEN, IS_VALUE, isBlank, LF, QUOTE, SEMICOLON } from './bytes.ts';
import { bodyBytesMax, chunkExtensionBytesMax, lengthDigitsMax } from './limits.ts';
import { REFUSE } from './refusals.ts';
import type { Request } from './request.ts';

/** Every byte was read, and more are needed. */
export const MORE = 0;
/** The last chunk's line was read; `at` is at the trailer section. */
export const CHUNKS_DONE = 1;

const SIZE = 0;
const LINE_END = 1;
const DATA = 2;
const DATA_CR = 3;
const DATA_LF = 4;
/** The states from here on are those of an extension. */
const EXTENSION = 5;

export class ChunkReader {
  /** The next byte to look at. */
  at = 0;
  #state = SIZE;
  /** The size as far as its digits were read, then the bytes of the chunk still to come. */
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;

  /** A number below 16. */
  get state(): number {
    return this.#state;
  }

  reset(): void {
    this.#startSize();
  }

  /**
   * Reads up to `end` and moves chunk data to `request.bodyEnd`. Answers MORE with every byte read,
   * CHUNKS_DONE, or minus the number of a refusal.
   */
  read(request: Request, bytes: Uint8Array, end: number): number {
    while (this.at < end) {
      let result: number;
      if (this.#state === DATA) result = this.#data(request, bytes, end);
      else if (this.#state >= EXTENSION) result = this.#extension(bytes, end);
      else result = this.#frame(request, bytes[this.at++]!);
      if (result !== MORE) return result;
    }
    return MORE;
  }

  #startSize(): void {
    this.#state = SIZE;
    this.#left = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
  }

  /** One byte of a size or of the line ends around it. */
  #frame(request: Request, byte: number): number {
    switch (this.#state) {
      case SIZE: {
        const digit = HEX[byte]!;
        if (digit >= 0) {
          if (++this.#digits > lengthDigitsMax) return -REFUSE.chunkSize;
          // Enough to be over the limit is enough: the true size may be beyond what a double counts.
          this.#left = Math.min(this.#left * 16 + digit, bodyBytesMax + 1);
          return MORE;
        }
        if (this.#digits === 0) return -REFUSE.chunkSize;
        if (byte === CR) this.#state = LINE_END;
        else if (byte === SEMICOLON) {
          this.#extensionBytes = 1;
          this.#state = BEFORE_NAME;
        } else return -(byte === LF ? REFUSE.bareLineFeed : REFUSE.chunkSize);
        return MORE;
      }
      case LINE_END:
        if (byte !== LF) return -REFUSE.bareCarriageReturn;
        if (this.#left === 0) return CHUNKS_DONE;
        if (request.bodyEnd - request.bodyStart + this.#left > bodyBytesMax) return -REFUSE.bodyTooLarge;
        this.#state = DATA;
        return MORE;
      case DATA_CR:
        if (byte !== CR) return -REFUSE.chunkEnd;
        this.#state = DATA_LF;
        return MORE;
      default:
        if (byte !== LF) return -REFUSE.chunkEnd;
        this.#startSize();
        return MORE;
    }
  }

  #data(request: Request, bytes: Uint8Array, end: number): number {
    const byteCount = Math.min(this.#left, end - this.at);
    bytes.copyWithin(request.bodyEnd, this.at, this.at + byteCount);
    request.bodyEnd += byteCount;
    this.at += byteCount;
    this.#left -= byteCount;
    if (this.#left === 0) this.#state = DATA_CR;
    return MORE;
  }

  #extension(bytes: Uint8Array, end: number): number {
    let state = this.#state;
    while (this.at < end && state >= EXTENSION) {
      const byte = bytes[this.at++]!;
      state = TRANSITIONS[(state - EXTENSION) * CLASSES + CLASS[byte]!]!;
      if (state === REFUSED) return -(byte === LF ? REFUSE.bareLineFeed : REFUSE.chunkExtension);
      if (state !== LINE_END && ++this.#extensionBytes > chunkExtensionBytesMax)
        return -REFUSE.chunkExtension;
    }
    this.#state = state;
    return MORE;
  }
}

const BEFORE_NAME = EXTENSION;
const IN_NAME = EXTENSION + 1;
const AFTER_NAME = EXTENSION + 2;
const BEFORE_VALUE = EXTENSION + 3;
const IN_VALUE = EXTENSION + 4;
const AFTER_VALUE = EXTENSION + 5;
const IN_QUOTES = EXTENSION + 6;
const ESCAPED = EXTENSION + 7;
const AFTER_QUOTES = EXTENSION + 8;
/** No byte leads from an extension back to a size, so that state's number is free to mean a refusal. */
const REFUSED = SIZE;

/** Columns of the table: control bytes, blanks, `;`, `=`, `"`, `\\`, CR, token bytes, all other bytes. */
const CLASSES = 9;
const CLASS = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (isBlank(byte)) return 1;
  const place = [SEMICOLON, EQUALS, QUOTE, BACKSLASH, CR].indexOf(byte);
  if (place >= 0) return place + 2;
  if (IS_TOKEN[byte] === 1) return 7;
  return IS_VALUE[byte] === 1 ? 8 : 0;
});

// biome-ignore format: a table is read by its columns
const TRANSITIONS = Uint8Array.of(
  // control  blank         ;            =             "             \             CR        token      other
  REFUSED, BEFORE_NAME,  REFUSED,     REFUSED,      REFUSED,      REFUSED,      REFUSED,  IN_NAME,   REFUSED,   // BEFORE_NAME
  REFUSED, AFTER_NAME,   BEFORE_NAME, BEFORE_VALUE, REFUSED,      REFUSED,      LINE_END, IN_NAME,   REFUSED,   // IN_NAME
  REFUSED, AFTER_NAME,   BEFORE_NAME, BEFORE_VALUE, REFUSED,      REFUSED,      REFUSED,  REFUSED,   REFUSED,   // AFTER_NAME
  REFUSED, BEFORE_VALUE, REFUSED,     REFUSED,      IN_QUOTES,    REFUSED,      REFUSED,  IN_VALUE,  REFUSED,   // BEFORE_VALUE
  REFUSED, AFTER_VALUE,  BEFORE_NAME, REFUSED,      REFUSED,      REFUSED,      LINE_END, IN_VALUE,  REFUSED,   // IN_VALUE
  REFUSED, AFTER_VALUE,  BEFORE_NAME, REFUSED,      REFUSED,      REFUSED,      REFUSED,  REFUSED,   REFUSED,   // AFTER_VALUE
  REFUSED, IN_QUOTES,    IN_QUOTES,   IN_QUOTES,    AFTER_QUOTES, ESCAPED,      REFUSED,  IN_QUOTES, IN_QUOTES, // IN_QUOTES
  REFUSED, IN_QUOTES,    IN_QUOTES,   IN_QUOTES,    IN_QUOTES,    IN_QUOTES,    REFUSED,  IN_QUOTES, IN_QUOTES, // ESCAPED
  REFUSED, AFTER_VALUE,  BEFORE_NAME, REFUSED,      REFUSED,      REFUSED,      LINE_END, REFUSED,   REFUSED,   // AFTER_QUOTES
);
