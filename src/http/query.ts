/**
 * The window of `GET /payments-summary`, read from the query of its target.
 */
import { type Instant, parseInstant } from '../domain/instant.ts';

/** Inclusive bounds in milliseconds; an open end is infinite. */
export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
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
    const instant = parseInstant((equals < 0 ? '' : decode(pair.slice(equals + 1))) ?? '');
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

/** One side of a query: percent-decoded, a raw `+` staying what it is; undefined when an escape is broken. */
function decode(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // It throws only for that: a URIError.
  }
}
