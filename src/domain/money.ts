/**
 * Money is integer cents from the parser to the wire; never a binary fraction.
 *
 * A `number` holds cents exactly up to 2^53, which one payment never reaches, but the sum of ten million of
 * the largest payments does. So a total is kept in two parts that are each far from that bound.
 */

export type Cents = number & { readonly unit: 'cents' };

/** 9,999,999,999.99: the largest amount of one payment. */
export const CENTS_MAX = 999_999_999_999;

const PART = 1_000_000;

/**
 * A count and an exact sum: `high * 1,000,000 + low` cents. The parts are sums of parts, with no carry
 * between.
 */
export interface Total {
  count: number;
  high: number;
  low: number;
}

export const emptyTotal = (): Total => ({ count: 0, high: 0, low: 0 });

/** Adds one payment to `total`. */
export function addCents(total: Total, cents: number): void {
  total.count += 1;
  total.high += Math.floor(cents / PART);
  total.low += cents % PART;
}

/** Adds `other` to `total`. */
export function addTotal(total: Total, other: Readonly<Total>): void {
  total.count += other.count;
  total.high += other.high;
  total.low += other.low;
}

/** The exact sum of a total, in cents. */
export const totalCents = (total: Readonly<Total>): bigint =>
  BigInt(total.high) * BigInt(PART) + BigInt(total.low);

/** Cents as a decimal number with two digits after the point: `1990` gives `19.90`. */
export function decimal(cents: number | bigint): string {
  const digits = cents.toString().padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
