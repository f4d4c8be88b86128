/** What a body that is no payment is answered, and what to change in it. */
import { CLOSE_BRACE, CLOSE_BRACKET, OPEN_BRACE, OPEN_BRACKET, QUOTE } from './bytes.ts';
import { skipString } from './json-strings.ts';
import { jsonDepthMax } from './limits.ts';
import {
  AMOUNT_FRACTION,
  AMOUNT_MISSING,
  AMOUNT_NOT_A_NUMBER,
  AMOUNT_NOT_POSITIVE,
  AMOUNT_OVER_MAX,
  AMOUNT_TWICE,
  ID_INVALID,
  ID_MISSING,
  ID_TWICE,
  NOT_AN_OBJECT,
} from './payment-json.ts';
import { problem, retryAfter } from './problem.ts';
import type { Request } from './request.ts';
import type { Answer } from './response.ts';

const notAPayment = (detail: string) => problem(422, 'not-a-payment', detail);
/** By the numbers of the refusals of `readPayment`. */
const NOT_PAYMENTS: Answer[] = [];
NOT_PAYMENTS[NOT_AN_OBJECT] = notAPayment('Send a JSON object with the members correlationId and amount.');
NOT_PAYMENTS[ID_MISSING] = notAPayment('correlationId is missing; send a UUID.');
NOT_PAYMENTS[ID_TWICE] = notAPayment('correlationId is given twice; send it once.');
NOT_PAYMENTS[ID_INVALID] = notAPayment(
  'correlationId must be a string with a UUID such as "4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3".',
);
NOT_PAYMENTS[AMOUNT_MISSING] = notAPayment('amount is missing; send a number such as 19.90.');
NOT_PAYMENTS[AMOUNT_TWICE] = notAPayment('amount is given twice; send it once.');
NOT_PAYMENTS[AMOUNT_NOT_A_NUMBER] = notAPayment('amount must be a number such as 19.90, not in quotes.');
NOT_PAYMENTS[AMOUNT_NOT_POSITIVE] = notAPayment('amount must be greater than 0.');
NOT_PAYMENTS[AMOUNT_FRACTION] = notAPayment('amount must have at most two decimals.');
NOT_PAYMENTS[AMOUNT_OVER_MAX] = notAPayment('amount must be at most 9999999999.99.');

/** The answer to a refusal of `readPayment` other than MALFORMED. */
export const notPaymentAnswer = (refusal: number): Answer => NOT_PAYMENTS[refusal]!;

/** By their seconds, of which there are few. */
const FULL_ANSWERS: Answer[] = [];

/** The answer to a payment that came while too much is queued or on the disk. */
export function overCapacityAnswer(waitSeconds: number): Answer {
  FULL_ANSWERS[waitSeconds] ??= problem(
    503,
    'unavailable',
    'The payment was not accepted, because the queue, the memory or the disk of the store is too full; send it again ' +
      'after the seconds that Retry-After names.',
    retryAfter(waitSeconds),
  );
  return FULL_ANSWERS[waitSeconds];
}

/** The answer to a body that is not JSON: the first byte that cannot be is the one at `at`. */
export function malformedJson(request: Request, at: number): Answer {
  return problem(400, 'malformed-json', malformedDetail(request, at));
}

function malformedDetail(request: Request, at: number): string {
  const { bytes, bodyStart, bodyEnd } = request;
  const length = bodyEnd - bodyStart;
  const coding = request.header('content-encoding')?.trim().toLowerCase() ?? 'identity';
  const starts = (...first: number[]): boolean =>
    length >= first.length && first.every((byte, place) => bytes[bodyStart + place] === byte);
  if (length > 0 && (coding !== 'identity' || starts(0x1f, 0x8b))) {
    return 'Send the body as it is, without Content-Encoding: a compressed body is not read.';
  }
  if (starts(0xef, 0xbb, 0xbf)) {
    return 'Leave out the byte order mark: the body begins with EF BB BF, and JSON begins behind it.';
  }
  if (length >= 2 && (starts(0xff, 0xfe) || starts(0xfe, 0xff) || starts(0) || bytes[bodyStart + 1] === 0)) {
    return 'Send the body in UTF-8: this one looks like UTF-16 or UTF-32.';
  }
  if (at < length && depthAt(bytes, bodyStart, bodyStart + at) === jsonDepthMax) {
    const byte = bytes[bodyStart + at];
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      return `Nest objects and arrays at most ${jsonDepthMax} levels deep: byte ${at} of the body opens level ${jsonDepthMax + 1}.`;
    }
  }
  const where =
    length === 0
      ? 'the body is empty'
      : at >= length
        ? 'the body ends too early'
        : `look at byte ${at} of the body`;
  return `Send a body that is valid JSON in UTF-8: ${where}.`;
}

/** How many brackets are open at `end`, in what is valid JSON up to there. */
function depthAt(bytes: Uint8Array, start: number, end: number): number {
  let depth = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
    else if (byte === QUOTE) {
      const next = skipString(bytes, at, end);
      if (next < 0) return depth;
      at = next - 1;
    }
  }
  return depth;
}
