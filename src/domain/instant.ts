/**
 * Instants as people write them (RFC 3339's profile of ISO 8601) and as soquete counts them: wall-clock
 * milliseconds since 1970.
 */

/** Inclusive bounds in milliseconds; an open end is infinite. */
export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

/** An instant as exactly as it was written. */
interface Instant {
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
function parse(text: string): Instant | undefined {
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

/** The milliseconds of an instant, rounded down; undefined for a text that is none. */
export function parseInstant(text: string): number | undefined {
  return parse(text)?.ms;
}

/** One side of a query: percent-decoded, a raw `+` staying what it is; undefined when an escape is broken. */
function decode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * The window that a query asks for, or a sentence that says what to change.
 *
 * What lies between two milliseconds belongs to neither: `from` is rounded up and `to` down, so both ends
 * stay inclusive. A window that holds no whole millisecond comes back with `fromMs` after `toMs`: nothing is
 * in it.
 */
export function parseWindow(query: string | undefined): Window | string {
  const ends: { from: Instant | undefined; to: Instant | undefined } = { from: undefined, to: undefined };
  for (const pair of query === undefined || query === '' ? [] : query.split('&')) {
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    if (name !== 'from' && name !== 'to') continue;
    if (ends[name] !== undefined) return `Give "${name}" once.`;
    const instant = parse((equals < 0 ? '' : decode(pair.slice(equals + 1))) ?? '');
    if (instant === undefined) {
      return `Give "${name}" as an ISO 8601 instant such as 2026-07-10T12:34:56.000Z, or leave it out.`;
    }
    ends[name] = instant;
  }
  const { from, to } = ends;
  if (from && to && (from.ms > to.ms || (from.ms === to.ms && from.rest > to.rest))) {
    return 'Give a "from" that is not after "to".';
  }
  return {
    fromMs: from === undefined ? -Infinity : from.ms + (from.rest === '' ? 0 : 1),
    toMs: to === undefined ? Infinity : to.ms,
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
