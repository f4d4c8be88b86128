/**
 * Decimal numbers as processors write and read them: exact, from the digits of the text, never by way of a
 * binary fraction.
 */

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,3}))?$/;

/**
 * The bound on an exponent's size: more would only make numbers that no one sends and strings of megabytes.
 */
const EXPONENT_MAX = 40;

/**
 * The cents nearest to the JSON number `text`, halves to even (`0.125` gives 12, `0.135` gives 14), as the
 * processors round. Undefined for a text that is no such number.
 */
export function roundedCents(text: string): bigint | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const fraction = match[3] ?? '';
  const exponent = Number(match[4] ?? 0);
  if (Math.abs(exponent) > EXPONENT_MAX) return undefined;
  const digits = BigInt(match[2]! + fraction);
  // The value in cents is `digits * 10^power`.
  const power = exponent - fraction.length + 2;
  const size = power >= 0 ? digits * 10n ** BigInt(power) : halfToEven(digits, 10n ** BigInt(-power));
  return match[1] === '-' ? -size : size;
}

function halfToEven(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  const twice = (dividend % divisor) * 2n;
  const up = twice > divisor || (twice === divisor && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}

/**
 * Closer than this to half a cent, a binary fraction no longer tells on which side the decimal number lies.
 */
const NEAR_HALF = 0.01;
/** Up to this many cents a double is right to better than `NEAR_HALF`. */
const DOUBLE_CENTS_MAX = 1e13;

/**
 * Whether rounding `amount * 100` as a double gives what `roundedCents` gives for the text it came from: so
 * for every amount with two decimals, and all others but those next to half a cent.
 */
export function roundsSafely(amount: number): boolean {
  const cents = amount * 100;
  const part = cents - Math.floor(cents);
  return cents >= 0 && cents < DOUBLE_CENTS_MAX && Math.abs(part - 0.5) > NEAR_HALF;
}

/**
 * The value of the JSON text with every number as its own digits, a string, so that sums of any size can be
 * read exactly. Throws a SyntaxError for malformed JSON.
 */
export function parseWithDigits(text: string): unknown {
  return JSON.parse(text, (_name: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? (context?.source ?? String(value)) : value,
  );
}
