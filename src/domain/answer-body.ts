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
/** A JSON string or number that is whole, though the body behind it may not be. */
const NAMED = String.raw`\s*:\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*(?=\s*[,}]))`;
const NAMED_ID = new RegExp(`"correlationId"${NAMED}`);
const NAMED_AMOUNT = new RegExp(`"amount"${NAMED}`);

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
  const id = named(NAMED_ID, text);
  if (id !== undefined && !isIdOf(payment.correlationId, id)) return true;
  const amount = named(NAMED_AMOUNT, text);
  return amount !== undefined && centsNamed(amount) !== payment.cents;
}

/** Whether `named`, of any type, is this id; its letters may be of either case. */
export const isIdOf = (correlationId: string, named: unknown): boolean =>
  typeof named === 'string' && named.toLowerCase() === correlationId;

/** What the first such member says; undefined where it is not there, or says neither text nor number. */
function named(member: RegExp, text: string): unknown {
  const value = member.exec(text)?.[1];
  if (value === undefined) return undefined;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

const DECIMAL = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * The cents of an amount as a number or, as some services write it, as text; undefined: it is neither. Those
 * of one with more than two decimals are not whole.
 */
export function centsNamed(amount: unknown): number | undefined {
  if (typeof amount === 'number') return amountCents(amount);
  return typeof amount === 'string' && DECIMAL.test(amount) ? amountCents(Number(amount)) : undefined;
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
