/**
 * Instants as people write them (RFC 3339's profile of ISO 8601) and as soquete counts them: wall-clock
 * milliseconds since 1970.
 */

/** An instant as exactly as it was written. */
export interface Instant {
  /** The whole milliseconds, rounded down. */
  readonly ms: number;
  /** The decimal digits of the fraction below a millisecond, without trailing zeros. */
  readonly rest: string;
}

const INSTANT = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

/** Days since 1970-01-01, or undefined where the calendar has no such day. */
function days(year: number, month: number, day: number): number | undefined {
  if (month < 1 || month > 12 || day < 1) return undefined;
  const leapDay = isLeap(year) ? 1 : 0;
  const before = DAYS_BEFORE_MONTH[month - 1]!;
  if (day > DAYS_BEFORE_MONTH[month]! - before + (month === 2 ? leapDay : 0)) return undefined;
  const last = year - 1;
  // 719,162 days lie between 0001-01-01 and 1970-01-01.
  const toYear =
    last * 365 + Math.floor(last / 4) - Math.floor(last / 100) + Math.floor(last / 400) - 719_162;
  return toYear + before + (month > 2 ? leapDay : 0) + day - 1;
}

/**
 * Reads `2026-07-10T12:34:56.000Z`: seconds are wanted, a fraction of any length is optional, then `Z` or an
 * offset as `+02:00`; `t` and `z` may be small. Undefined for anything else, for hour 24, for second 60 and
 * for days that do not exist.
 */
export function parseInstant(text: string): Instant | undefined {
  const parts = INSTANT.exec(text);
  if (parts === null) return undefined;
  const [hour, minute, second] = [Number(parts[4]), Number(parts[5]), Number(parts[6])];
  const [offsetHours, offsetMinutes] = [Number(parts[9] ?? 0), Number(parts[10] ?? 0)];
  if (hour > 23 || minute > 59 || second > 59 || offsetHours > 23 || offsetMinutes > 59) return undefined;
  const day = days(Number(parts[1]), Number(parts[2]), Number(parts[3]));
  if (day === undefined) return undefined;
  const offset = (offsetHours * 60 + offsetMinutes) * (parts[8] === '-' ? -1 : 1);
  const fraction = parts[7] ?? '';
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'));
  return {
    ms: ((day * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1000 + ms,
    rest: fraction.slice(3).replace(/0+$/, ''),
  };
}

const MILLISECONDS = Array.from({ length: 1000 }, (_, ms) => `.${ms.toString().padStart(3, '0')}Z`);

let lastSecond = Number.NaN;
let lastSecondText = '';

/**
 * `2026-07-10T12:34:56.000Z` of wall-clock milliseconds. The text of a second is made once while it lasts.
 */
export function formatInstant(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) {
    lastSecondText = new Date(second * 1000).toISOString().slice(0, -5);
    lastSecond = second;
  }
  return lastSecondText + MILLISECONDS[ms - second * 1000]!;
}
