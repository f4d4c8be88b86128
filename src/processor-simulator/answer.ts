/**
 * What a caller sees of a processor: an HTTP answer, or one of the ways in which none arrives.
 */

/**
 * How an answer is delivered: `whole` as HTTP asks; `cut` with a whole status line and half of its body;
 * `closed` and `reset`, the connection ends without a byte; `garbage`, bytes that are no HTTP; `never`, the
 * connection stays open and silent.
 */
export type Delivery = 'whole' | 'cut' | 'closed' | 'reset' | 'garbage' | 'never';

export interface ProcessorAnswer {
  readonly delivery: Delivery;
  /** Where `delivery` is `whole` or `cut`; else 0. */
  readonly status: number;
  /** JSON text, or empty. */
  readonly body: string;
  /** The `Retry-After` header in seconds, 0 for none. */
  readonly retryAfterSeconds: number;
  /** Whether a `102 Processing` comes first. */
  readonly informed: boolean;
  /** Where the body is not `application/json`. */
  readonly contentType?: string;
}

export type AnswerCallback = (answer: ProcessorAnswer) => void;

/** A whole answer of `status` with `body`, which is JSON text or empty. */
export function answer(status: number, body = '', retryAfterSeconds = 0): ProcessorAnswer {
  return Object.freeze({ delivery: 'whole', status, body, retryAfterSeconds, informed: false });
}

/** A whole answer whose body is `{"message": …}`. */
export const message = (status: number, text: string, retryAfterSeconds = 0): ProcessorAnswer =>
  answer(status, JSON.stringify({ message: text }), retryAfterSeconds);

const undelivered = (delivery: Delivery): ProcessorAnswer => Object.freeze({ ...answer(0), delivery });

export const HUNG_UP = undelivered('closed');
export const RESET = undelivered('reset');
export const GARBAGE = undelivered('garbage');
export const NEVER = undelivered('never');

export const PROCESSED = message(200, 'payment processed successfully');
export const ALREADY_PROCESSED = message(422, 'a payment with this correlationId is already processed');
export const FAILING = message(500, 'the processor is failing');
export const OVERLOADED = message(429, 'too many payments at work', 1);
export const SERVICE_UNAVAILABLE = message(503, 'service unavailable', 1);
export const REFUSED_PAYMENT = message(400, 'this payment is refused');
export const MAINTENANCE: ProcessorAnswer = Object.freeze({
  ...answer(200, '<html><title>Back soon</title></html>'),
  contentType: 'text/html',
});
export const OTHER_PAYMENT = answer(200, '{"correlationId":"00000000-0000-0000-0000-000000000000"}');
export const NOT_FOUND = message(404, 'not found');
