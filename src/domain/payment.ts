/**
 * What a payment is, in words shared by every room: its identity, its processors, its state.
 *
 * A correlationId is 16 bytes. On the hot path it travels as four 32-bit words (an `Int32Array` of four, in
 * big-endian order of the UUID's text), so that nothing is allocated to compare or to hash it.
 */
import type { Cents, Total } from './money.ts';

export const PROCESSORS = ['default', 'fallback'] as const;
export type Processor = (typeof PROCESSORS)[number];
/** A processor as a number, for typed arrays and tables: its place in `PROCESSORS`. */
export const DEFAULT = 0;
export const FALLBACK = 1;
export type ProcessorIndex = typeof DEFAULT | typeof FALLBACK;

/** Settled payments by processor. */
export type Summary = Readonly<Record<Processor, Readonly<Total>>>;

/**
 * How far a payment is. What the store holds is what a crash leaves behind, so `SENT` is written before the
 * request leaves, and an instance that finds it after a crash must take the outcome as unknown (`PINNED`).
 */
export const WAITING = 0;
export const SENT = 1;
/** Sent once with an unknown outcome: only the same processor may resolve it. */
export const PINNED = 2;
export const SETTLED = 3;
/** An operator closed it: it is settled nowhere, and never will be. */
export const CLOSED = 4;
export type State = typeof WAITING | typeof SENT | typeof PINNED | typeof SETTLED | typeof CLOSED;

/** Nothing is left to be done for it. */
export const isOver = (state: number): boolean => state >= SETTLED;

/**
 * Why an unsettled payment is held: out of the way of all others, tried ever more seldom or not at all, and
 * shown to an operator. It is beside the state, as a pin is never lifted by a hold. The order is stored, so
 * new ones go to the end; the first stands for none.
 */
export const HOLD_REASONS = ['', 'refused', 'amount-differs', 'url-changed'] as const;
export type HoldReason = Exclude<(typeof HOLD_REASONS)[number], ''>;
/** A place in `HOLD_REASONS`. */
export const NOT_HELD = 0;
/** Both processors refused it in a whole round. */
export const HELD_REFUSED = 1;
/** Its processor has it with another amount. */
export const HELD_AMOUNT = 2;
/** It is pinned to a processor whose URL is another one by now. */
export const HELD_URL = 3;
export type Hold = typeof NOT_HELD | typeof HELD_REFUSED | typeof HELD_AMOUNT | typeof HELD_URL;

/** One payment as the store knows it. Times are wall-clock milliseconds since 1970; 0 stands for none. */
export interface StoredPayment {
  /** Its place in the order of arrival at the store; unique for as long as nothing is purged. */
  readonly seq: number;
  /** 16 bytes. */
  readonly id: Uint8Array;
  readonly cents: Cents;
  readonly acceptedAtMs: number;
  /** The epoch that accepted it; only the store knows what it means. */
  readonly origin: number;
  readonly state: State;
  /** The processor of the last attempt, or undefined before the first. */
  readonly processor: ProcessorIndex | undefined;
  /**
   * The instant that was sent with the last attempt; of a settled payment, the one in the processor's book.
   */
  readonly requestedAtMs: number;
  /** Attempts so far on both processors. */
  readonly attempts: number;
  /** Attempts on default in the present round of up to `DEFAULT_ATTEMPTS`. */
  readonly tries: number;
  readonly settledAtMs: number;
  readonly held: Hold;
  /** When a held one is tried again; Infinity: never by itself, 0: it is not held. */
  readonly retryAtMs: number;
  /** Why it was closed, in the operator's words; '' unless it was. */
  readonly reason: string;
  /** The store cannot say whether or where it was sent since: both processors are asked before it leaves. */
  readonly isUncertain: boolean;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The canonical lower-case text of 16 bytes starting at `start`. */
export function idText(bytes: Uint8Array, start = 0): string {
  const hex = (from: number, to: number): string => {
    let text = '';
    for (let at = from; at < to; at++) text += HEX[bytes[start + at]!]!;
    return text;
  };
  return `${hex(0, 4)}-${hex(4, 6)}-${hex(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The 16 bytes of a UUID in its 8-4-4-4-12 form, either case; undefined for any other text. */
export function idBytes(text: string): Uint8Array | undefined {
  if (!UUID.test(text)) return undefined;
  return Uint8Array.fromHex(text.replaceAll('-', ''));
}

/** The four words of 16 bytes. */
export function idWords(bytes: Uint8Array): Int32Array {
  const words = new Int32Array(4);
  readIdWords(new DataView(bytes.buffer, bytes.byteOffset, 16), 0, words, 0);
  return words;
}

/** The four words of a UUID's text; for any other text this throws. */
export const idTextWords = (text: string): Int32Array => idWords(idBytes(text)!);

/** Reads the four words of the 16 bytes at `start` into `words`, from `wordStart` on. */
export function readIdWords(
  bytes: DataView,
  start: number,
  words: Int32Array | Float64Array,
  wordStart: number,
): void {
  for (let at = 0; at < 4; at++) words[wordStart + at] = bytes.getInt32(start + at * 4);
}

/** Writes the 16 bytes of four words at `start` of `target`. */
export function writeIdBytes(
  words: ArrayLike<number>,
  wordStart: number,
  target: Uint8Array,
  start: number,
): void {
  for (let at = 0; at < 4; at++) {
    const word = words[wordStart + at]!;
    target[start + at * 4] = word >>> 24;
    target[start + at * 4 + 1] = word >>> 16;
    target[start + at * 4 + 2] = word >>> 8;
    target[start + at * 4 + 3] = word;
  }
}
