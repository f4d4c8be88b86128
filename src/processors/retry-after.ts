/** `Retry-After` of RFC 9110, section 10.2.3: seconds, or an HTTP date in any of the three forms of 5.6.7. */

/**
 * As long as a processor may keep all payments from itself with one answer: it may have slipped with the
 * number, or its clock be wrong.
 */
export const retryAfterMsMax = 60_000;

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const TIME = '(\\d\\d):(\\d\\d):(\\d\\d)';
const IMF_FIXDATE = new RegExp(`^[a-z]{3}, (\\d\\d) ([a-z]{3}) (\\d{4}) ${TIME} GMT$`, 'i');
const RFC850 = new RegExp(`^[a-z]{6,9}, (\\d\\d)-([a-z]{3})-(\\d\\d) ${TIME} GMT$`, 'i');
const ASCTIME = new RegExp(`^[a-z]{3} ([a-z]{3}) ([ \\d]\\d) ${TIME} (\\d{4})$`, 'i');

/**
 * How long to wait, in ms from now on; undefined: it does not say. `date`: the answer's own `Date`, by which
 * a date counts where there is one, as the two clocks may differ; else `nowMs` does, in wall-clock ms.
 */
export function retryAfterMs(
  value: string | undefined,
  date: string | undefined,
  nowMs: number,
): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, retryAfterMsMax);
  const atMs = httpDateMs(text, nowMs);
  if (atMs === undefined) return undefined;
  const fromMs = (date === undefined ? undefined : httpDateMs(date.trim(), nowMs)) ?? nowMs;
  return Math.min(Math.max(0, atMs - fromMs), retryAfterMsMax);
}

/** `nowMs` tells the century of a year with two digits: it is at most 50 years ahead. */
function httpDateMs(text: string, nowMs: number): number | undefined {
  const fixed = IMF_FIXDATE.exec(text);
  if (fixed !== null) return utcMs(fixed[3]!, fixed[2]!, fixed[1]!, fixed.slice(4));
  const asc = ASCTIME.exec(text);
  if (asc !== null) return utcMs(asc[6]!, asc[1]!, asc[2]!, asc.slice(3, 6));
  const old = RFC850.exec(text);
  if (old === null) return undefined;
  const yearNow = new Date(nowMs).getUTCFullYear();
  let year = yearNow - (yearNow % 100) + Number(old[3]);
  if (year > yearNow + 50) year -= 100;
  return utcMs(`${year}`, old[2]!, old[1]!, old.slice(4));
}

function utcMs(year: string, month: string, day: string, time: readonly string[]): number | undefined {
  const at = MONTHS.indexOf(month.toLowerCase());
  const [hour, minute, second] = time.map(Number) as [number, number, number];
  const ms = Date.UTC(Number(year), at, Number(day), hour, minute, second);
  const isDate =
    at >= 0 && new Date(ms).getUTCDate() === Number(day) && hour < 24 && minute < 60 && second < 61;
  return isDate ? ms : undefined;
}
