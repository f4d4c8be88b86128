/** Numbers as people read them. */

const WHOLE = new Intl.NumberFormat('en');
const MONEY = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const grouped = (value: number): string => WHOLE.format(value);

/** A rate: whole, or with one digit where it is small. */
export const rate = (value: number): string =>
  value > 0 && value < 10 ? value.toFixed(1) : WHOLE.format(Math.round(value));

export const decimals = (cents: number): string => MONEY.format(cents / 100);

/** `1,234` as `1.2k`: for the scale of a plot. */
export function brief(value: number): string {
  if (value >= 1e6) return `${+(value / 1e6).toPrecision(3)}M`;
  if (value >= 1e3) return `${+(value / 1e3).toPrecision(3)}k`;
  return String(+value.toPrecision(3));
}

/** A duration: `0.4 ms`, `12 ms`, `3.2 s`, `4 min`, `2 h`; the unit stays on the line of its number. */
export function duration(ms: number): string {
  if (ms < 10) return `${+ms.toFixed(1)}\u00a0ms`;
  if (ms < 1000) return `${Math.round(ms)}\u00a0ms`;
  if (ms < 60_000) return `${+(ms / 1000).toFixed(1)}\u00a0s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)}\u00a0min`;
  return `${+(ms / 3_600_000).toFixed(1)}\u00a0h`;
}

export const bytes = (count: number): string => `${Math.round(count / 1024 / 1024)}\u00a0MB`;

/** The time of day; `fraction` with milliseconds. */
export function clock(ms: number, fraction = false): string {
  const time = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  const text = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return fraction ? `${text}.${String(time.getMilliseconds()).padStart(3, '0')}` : text;
}

export const plural = (count: number, one: string): string =>
  `${grouped(count)} ${one}${count === 1 ? '' : 's'}`;
