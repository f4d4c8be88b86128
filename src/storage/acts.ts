/**
 * What an operator does to a payment by hand, or has done by starting with `PROCESSOR_URL_CHANGED=hold`. Each
 * act is an event in the store like any other, with who did it, when and why, and is kept for as long as the
 * payment.
 */
import type { ProcessorIndex } from '../domain/payment.ts';

/** The order is stored, so new ones go to the end; the first stands for none. */
export const ACT_KINDS = ['', 'retry', 'settle', 'close', 'resend', 'hold', 'take-in'] as const;
export type ActKind = Exclude<(typeof ACT_KINDS)[number], ''>;

/** The text of an act that needs no reason, and was given none. */
export const NO_REASON = '-';

/** In bytes of UTF-8. */
export const actTextBytesMax = 500;
export const actWhoBytesMax = 64;

export interface Act {
  readonly kind: ActKind;
  /** 16 bytes. */
  readonly id: Uint8Array;
  /** SETTLE: who has it booked, and with which `requestedAt`. Of another kind they say nothing. */
  readonly processor: ProcessorIndex | undefined;
  readonly requestedAtMs: number;
  /** Wall clock. */
  readonly atMs: number;
  readonly who: string;
  /** Why. */
  readonly text: string;
}

/**
 * What became of an act. `on its way`: an attempt has left whose end nobody has yet, so that it cannot be
 * settled or closed by hand at this moment. `not settled`: only what a processor had is sent there again.
 */
export type ActResult = 'done' | 'no such payment' | 'settled' | 'not settled' | 'closed' | 'on its way';
