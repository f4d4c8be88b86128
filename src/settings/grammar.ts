/**
 * How one value of a setting is written, wherever it stands: in the environment or on a command line.
 */
import { parseInstant } from '../domain/instant.ts';

export interface SettingReader<Value> {
  /** Completes the sentence "it takes". */
  readonly takes: string;
  /** The value of a text; undefined for a text that cannot be used. */
  readonly read: (text: string) => Value | undefined;
}

/** A setting that cannot be used; the message is one line that names it and says what it takes. */
export class UnusableSetting extends Error {
  override name = 'UnusableSetting';
}

/** What was typed, on one line whatever it holds, without the password of an address. */
export function onOneLine(typed: string): string {
  const text = typed.replace(/(\/\/[^/:@]*):.*@/s, '$1:...@');
  return /^[!-~]+$/.test(text) ? text : JSON.stringify(text);
}

/** Any text, or one of a form; never an empty one. */
export const someText = (takes: string, form = /./s): SettingReader<string> => ({
  takes,
  read: text => (form.test(text) ? text : undefined),
});

/** Both ends of a number's range are inclusive. */
const numeric = (what: string, form: RegExp, min: number, max: number): SettingReader<number> => ({
  takes: `${what} from ${min} to ${max}`,
  read: text => (form.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined),
});

export const wholeNumber = (min: number, max: number, unit?: string): SettingReader<number> =>
  numeric(unit === undefined ? 'a whole number' : `a whole number of ${unit}`, /^\d{1,15}$/, min, max);

/** A number such as 3, 0.5 or .5. */
export const decimalNumber = (min: number, max: number): SettingReader<number> =>
  numeric('a number', /^\d{0,15}\.?\d{1,15}$/, min, max);

/** From port 0, which is any free one, or from 1. */
export const portNumber = (min: 0 | 1): SettingReader<number> => numeric('a port', /^\d{1,5}$/, min, 65_535);

export const oneOf = <Value extends string>(...values: readonly Value[]): SettingReader<Value> => ({
  takes: values.join(', '),
  read: text => values.find(value => value === text),
});

export const zeroOrOne: SettingReader<boolean> = {
  takes: '1 or 0',
  read: text => (text === '0' || text === '1' ? text === '1' : undefined),
};

/** The text of the address of an HTTP server. */
export const httpUrl: SettingReader<string> = {
  takes: 'an http:// or https:// address',
  read: text => (/^https?:$/.test(URL.parse(text)?.protocol ?? '') ? text : undefined),
};

/**
 * The address of a processor: user and password are sent with each request, and a path goes in front of each;
 * a query or a fragment would be lost.
 */
export const processorAddress: SettingReader<string> = {
  takes: 'an http:// or https:// address without a query (?) or a fragment (#)',
  read: text =>
    httpUrl.read(text) !== undefined && !/[?#]/.test(text) && hasCredentials(text) ? text : undefined,
};

/** Whether user and password, if there are any, can be read. */
function hasCredentials(text: string): boolean {
  const { username, password } = new URL(text);
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/** As processors write it: without a zone it is UTC. In milliseconds since 1970. */
export const recordedInstantMs: SettingReader<number> = {
  takes: 'an instant such as 2026-07-10T12:34:56.789Z, or without the Z as processors show it',
  read: text => (parseInstant(text) ?? parseInstant(`${text}Z`))?.ms,
};

/** In milliseconds since 1970. */
export const instantMs: SettingReader<number> = {
  takes: 'an instant such as 2026-07-10T12:34:56Z',
  read: text => parseInstant(text)?.ms,
};
