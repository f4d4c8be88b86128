/**
 * The trace that a payment belongs to (W3C Trace Context): read from `traceparent`, kept while the payment is
 * at work in this instance, and passed on with each question to a processor.
 *
 *     traceparent = version "-" trace-id "-" parent-id "-" trace-flags      2, 32, 16 and 2 digits
 *
 * Digits are hexadecimal and in lower case; neither id is all zeros. A version after 00 may have more behind
 * another dash; ff is none. A service that passes a trace on keeps its id and puts an id of its own in the
 * parent's place.
 */

/** A trace as numbers: four words of its id, big-endian, then its flags. */
export const TRACE_WORDS = 5;

const LENGTH = 55;
const TRACE_ID_AT = 3;
const PARENT_ID_AT = 36;
const FLAGS_AT = 53;
const DASH = 0x2d;
/** Sampled, and a random id. All other flags are sent as 0, as a service has to that does not know them. */
const KNOWN_FLAGS = 0b11;
/** Beside the flags of a slot that has a trace. */
const IS_HELD = 0x100;

const DIGITS = '0123456789abcdef';
/** The value of a digit, or -1. */
const DIGIT = Int8Array.from({ length: 256 }, (_, byte) => DIGITS.indexOf(String.fromCharCode(byte)));

/** Reads the value of a `traceparent` field into `trace`; false where it is not valid. */
export function readTraceparent(bytes: Uint8Array, start: number, end: number, trace: Int32Array): boolean {
  const length = end - start;
  if (length < LENGTH) return false;
  for (let place = 0; place < LENGTH; place++) {
    const byte = bytes[start + place]!;
    const isDash = place === TRACE_ID_AT - 1 || place === PARENT_ID_AT - 1 || place === FLAGS_AT - 1;
    if (isDash ? byte !== DASH : DIGIT[byte]! < 0) return false;
  }
  const version = number(bytes, start, 2);
  if (version === 0xff || (version === 0 && length > LENGTH)) return false;
  if (length > LENGTH && bytes[start + LENGTH] !== DASH) return false;
  let idBits = 0;
  for (let word = 0; word < 4; word++) {
    trace[word] = number(bytes, start + TRACE_ID_AT + word * 8, 8);
    idBits |= trace[word]!;
  }
  trace[4] = number(bytes, start + FLAGS_AT, 2) & KNOWN_FLAGS;
  const parentAt = start + PARENT_ID_AT;
  return idBits !== 0 && (number(bytes, parentAt, 8) | number(bytes, parentAt + 8, 8)) !== 0;
}

/** Up to eight digits as one number of 32 bits. */
function number(bytes: Uint8Array, start: number, digitCount: number): number {
  let value = 0;
  for (let at = start; at < start + digitCount; at++) value = (value << 4) | DIGIT[bytes[at]!]!;
  return value;
}

/** The trace-id in the text of a `traceparent`. */
export const traceIdOf = (traceparent: string): string => traceparent.slice(TRACE_ID_AT, PARENT_ID_AT - 1);

/** The traces of the payments in a queue, by slot. Nothing is there before the first payment that has one. */
export class Traces {
  readonly #capacity: number;
  #words: Int32Array | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  set(slot: number, trace: ArrayLike<number>): void {
    this.#words ??= new Int32Array(this.#capacity * TRACE_WORDS);
    const at = slot * TRACE_WORDS;
    for (let word = 0; word < 4; word++) this.#words[at + word] = trace[word]!;
    this.#words[at + 4] = trace[4]! | IS_HELD;
  }

  /** The slot has another payment now. */
  forget(slot: number): void {
    if (this.#words !== undefined) this.#words[slot * TRACE_WORDS + 4] = 0;
  }

  /**
   * What a question about the payment in `slot` carries, with a parent-id that no other one has, by `chance`
   * (0 to 1); undefined where the payment has no trace.
   */
  traceparent(slot: number, chance: () => number): string | undefined {
    const words = this.#words;
    const at = slot * TRACE_WORDS;
    if (words === undefined || words[at + 4] === 0) return undefined;
    const traceId = `${hex(words[at]!)}${hex(words[at + 1]!)}${hex(words[at + 2]!)}${hex(words[at + 3]!)}`;
    const flags = DIGITS[words[at + 4]! & KNOWN_FLAGS]!;
    // All zeros stand for none.
    const low = random(chance) | 1;
    return `00-${traceId}-${hex(random(chance))}${hex(low)}-0${flags}`;
  }
}

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');

const random = (chance: () => number): number => Math.floor(chance() * 2 ** 32);
