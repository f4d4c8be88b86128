/**
 * What the worker asks of the processors; the shell over undici is `undici-client.ts`, the simulation has its
 * own.
 */

import type { AttemptResult } from '../domain/outcome.ts';
import type { ProcessorIndex } from '../domain/payment.ts';

export interface PaymentRequest {
  /** Canonical lower-case text. */
  readonly correlationId: string;
  readonly cents: number;
  readonly requestedAtMs: number;
  /** The value of the field of that name, where the payment belongs to a trace. */
  readonly traceparent?: string | undefined;
}

/** What `GET /payments/{id}` of a processor showed. */
export type Found =
  /** `cents` are not whole where the amount has more than two decimals. */
  | { readonly is: 'there'; readonly requestedAtMs: number; readonly cents: number }
  /** Not recorded yet; it proves nothing, the record may still come. */
  | { readonly is: 'absent' }
  | { readonly is: 'unavailable' };

export interface Health {
  readonly failing: boolean;
  readonly minResponseMs: number;
}

export interface Processors {
  /** One attempt. Replies exactly once, also after a time-out; never tries again by itself. */
  post(processor: ProcessorIndex, request: PaymentRequest, reply: (ending: AttemptResult) => void): void;
  /** Asks whether a payment is recorded there. */
  find(
    processor: ProcessorIndex,
    correlationId: string,
    reply: (found: Found) => void,
    traceparent?: string,
  ): void;
  /** Asks `service-health`; undefined when there was no usable answer. */
  health(processor: ProcessorIndex, reply: (health: Health | undefined) => void): void;
}
