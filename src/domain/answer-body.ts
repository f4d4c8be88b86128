/**
 * Whether the body of an answer shows that something else than the processor answered: a maintenance page, a
 * gateway, an answer to another payment. Only what it says counts: a body that is empty or cut short says
 * nothing.
 */

export interface AnsweredPayment {
  readonly correlationId: string;
  readonly cents: number;
}

const JSON_TYPE = /^\s*(?:application|text)\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;
const NAMED_ID = /"correlationId"\s*:\s*"([^"\\]*)"/;
const NAMED_AMOUNT = /"amount"\s*:\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=\s*[,}])/;

export const isJsonType = (contentType: string): boolean => JSON_TYPE.test(contentType);

/** `contentType`: of the answer, undefined where it has none. `isWhole`: `text` is all of the body. */
export function isForeignBody(
  contentType: string | undefined,
  text: string,
  isWhole: boolean,
  payment: AnsweredPayment,
): boolean {
  if (contentType !== undefined && !isJsonType(contentType)) return true;
  if (contentType === undefined && isWhole && text.trim() !== '' && !isJson(text)) return true;
  const id = NAMED_ID.exec(text)?.[1];
  if (id !== undefined && id.toLowerCase() !== payment.correlationId) return true;
  const amount = NAMED_AMOUNT.exec(text)?.[1];
  return amount !== undefined && amountCents(Number(amount)) !== payment.cents;
}

/**
 * The cents of an amount; of one with more than two decimals they are not whole, so they equal none of ours.
 */
export function amountCents(amount: number): number {
  const cents = amount * 100;
  const whole = Math.round(cents);
  // A binary fraction of two decimals is off by less than this, up to the largest amount that is accepted.
  return Math.abs(cents - whole) < 1e-3 ? whole : cents;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
