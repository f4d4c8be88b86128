/** A log line for people, where the log goes to a terminal. */

const COLOURS: Readonly<Record<string, number>> = { debug: 90, info: 36, warn: 33, error: 31, fatal: 31 };

const paint = (colour: number, text: string): string => `\u001b[${colour}m${text}\u001b[0m`;

/**
 * `12:34:56.789 info  backend-1 circuit open processor=default` for a line of JSON; other lines as they are.
 */
export function pretty(line: string): string {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line);
  } catch {
    return line;
  }
  const { level = '', time = '', instance = '', msg = '', ...rest } = fields;
  const clock = String(time).slice(11, 23);
  const label = paint(COLOURS[String(level)] ?? 0, String(level).padEnd(5));
  const more = Object.entries(rest).map(([name, value]) => paint(90, ` ${name}=`) + shown(value));
  return `${paint(90, clock)} ${label} ${instance} ${msg}${more.join('')}\n`;
}

function shown(value: unknown): string {
  if (typeof value === 'string') return /^[\w.:/-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value);
}
