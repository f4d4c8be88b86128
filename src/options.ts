/**
 * The command line of a program, read once: its values, or one line that says what to mend, or its help.
 *
 * An option is described in one place: how it is read, what it takes, and what the help says about it.
 */
import { parseArgs } from 'node:util';
import { HTTP_URL, parseUrl } from './config.ts';

export interface Option<Value> {
  /** What stands for its value, such as `N`; undefined for a flag. */
  readonly shown: string | undefined;
  readonly about: string;
  /** Completes the sentence "it takes". */
  readonly takes: string;
  /** The value of a text; undefined for a text that cannot be used. */
  readonly read: (text: string) => Value | undefined;
  /** The value where none is given. */
  readonly standard: Value;
  /**
   * The variable that can say the same; the command line goes before it, and an empty one counts as unset.
   */
  readonly variable?: string;
}

type Options = Readonly<Record<string, Option<unknown>>>;
type Values<Known extends Options> = {
  readonly [Name in keyof Known]: Known[Name] extends Option<infer Value> ? Value : never;
};

export interface Program<Known extends Options> {
  /** What its complaints begin with. */
  readonly name: string;
  /** How it is started: what stands before its options. */
  readonly command: string;
  readonly about: string;
  /** By name, without dashes. `--help` is added. */
  readonly options: Known;
  /** The words it takes besides options, with what each means, and how many of them at once. */
  readonly words?: { readonly known: Readonly<Record<string, string>>; readonly max: number };
  /** The exit status when the command line cannot be used. */
  readonly status?: number;
}

export interface CommandLine<Known extends Options> {
  readonly is: 'read';
  readonly values: Values<Known>;
  readonly words: readonly string[];
}

export type Reading<Known extends Options> =
  | CommandLine<Known>
  | { readonly is: 'help'; readonly text: string }
  | { readonly is: 'unusable'; readonly line: string };

/**
 * Reads this process's command line. Ends the process after `--help` (0) and with a line on stderr (2, or
 * `status`).
 */
export function readCommandLine<Known extends Options>(program: Program<Known>): CommandLine<Known> {
  const reading = readOptions(program, process.argv.slice(2), process.env);
  if (reading.is === 'read') return reading;
  if (reading.is === 'help') {
    console.log(reading.text);
    process.exit(0);
  }
  console.error(reading.line);
  process.exit(program.status ?? 2);
}

/** Reads the arguments after the program's name. Of an option that is given twice the last counts. */
export function readOptions<Known extends Options>(
  program: Program<Known>,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): Reading<Known> {
  const { options } = program;
  const refuse = (what: string) => ({ is: 'unusable', line: `${program.name}: ${what}` }) as const;
  const tokens = tokensOf(options, args);
  if (tokens.some(token => token.kind === 'option' && token.name === 'help')) {
    return { is: 'help', text: helpOf(program) };
  }

  const given = new Map<string, { readonly what: string; readonly text: string }>();
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    if (!Object.hasOwn(options, name)) {
      return refuse(`unknown option ${plain(rawName)}; it takes ${usageOf(options)}`);
    }
    const { shown, takes } = options[name]!;
    if (shown === undefined && value !== undefined) return refuse(`${rawName} takes no value`);
    // What looks like the next option is one: its neighbour's value was forgotten.
    const isMissing = value === undefined || (!inlineValue && /^-[^\d.]/.test(value));
    if (shown !== undefined && isMissing) return refuse(`${rawName} needs a value: it takes ${takes}`);
    given.set(name, { what: `${rawName} ${plain(value ?? '')}`, text: value ?? '' });
  }

  const words = tokens.flatMap(token => (token.kind === 'positional' ? [token.value] : []));
  const complaint = complaintAbout(words, program);
  if (complaint !== undefined) return refuse(complaint);

  const values: Record<string, unknown> = {};
  for (const [name, { read, takes, standard, variable }] of Object.entries(options)) {
    const set = variable === undefined ? undefined : environment[variable] || undefined;
    const source =
      given.get(name) ?? (set === undefined ? undefined : { what: `${variable}=${plain(set)}`, text: set });
    values[name] = source === undefined ? standard : read(source.text);
    if (source !== undefined && values[name] === undefined) {
      return refuse(`${source.what} cannot be used: it takes ${takes}`);
    }
  }
  return { is: 'read', values: values as Values<Known>, words };
}

/** Not strict: what is wrong is found here, and said in our words. */
function tokensOf(options: Options, args: readonly string[]) {
  const types = Object.entries(options).map(([name, { shown }]) => {
    return [name, { type: shown === undefined ? 'boolean' : 'string' }] as const;
  });
  return parseArgs({
    args: [...args],
    options: { ...Object.fromEntries(types), help: { type: 'boolean', short: 'h' } },
    strict: false,
    allowPositionals: true,
    tokens: true,
  }).tokens;
}

/** What is wrong with the words that are no options; undefined: nothing. */
function complaintAbout(
  words: readonly string[],
  { command, options, words: wanted }: Program<Options>,
): string | undefined {
  if (wanted === undefined) {
    if (words.length === 0) return undefined;
    return `${plain(words[0]!)} is no option; it takes ${usageOf(options)} after ${command}`;
  }
  const known = Object.keys(wanted.known).join(', ');
  const unknown = words.filter(word => !Object.hasOwn(wanted.known, word));
  if (unknown.length > 0) return `there is no ${unknown.map(plain).join(', ')}; there is ${known}`;
  if (words.length > wanted.max)
    return `${words[wanted.max]} is one too many; it takes ${wanted.max} of ${known}`;
  return undefined;
}

function helpOf({ command, about, options, words }: Program<Options>): string {
  const rows = Object.entries(options).map(([name, option]): [string, string] => {
    const { standard, variable } = option;
    const isTold = typeof standard === 'string' || Number.isFinite(standard);
    const notes = [
      ...(isTold ? [String(standard)] : []),
      ...(variable === undefined ? [] : [`or ${variable}`]),
    ];
    return [usage(name, option), option.about + (notes.length === 0 ? '' : ` (${notes.join(', ')})`)];
  });
  rows.push(['--help', 'prints this']);
  const places = words === undefined ? '[options]' : `[options] [${words.max > 1 ? 'names' : 'name'}]`;
  const blocks = [table(rows), ...(words === undefined ? [] : [table(Object.entries(words.known))])];
  return [`${command} ${places}`, about, ...blocks].join('\n\n');
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([what]) => what.length));
  return rows.map(([what, means]) => `  ${what.padEnd(width)}  ${means}`).join('\n');
}

const usage = (name: string, { shown }: Option<unknown>): string =>
  shown === undefined ? `--${name}` : `--${name} ${shown}`;

const usageOf = (options: Options): string =>
  Object.entries(options)
    .map(([name, option]) => usage(name, option))
    .join(', ');

/** What was typed, on one line whatever it holds. */
const plain = (text: string): string => (/^[!-~]+$/.test(text) ? text : JSON.stringify(text));

interface Range<Standard> {
  readonly min: number;
  readonly max: number;
  readonly standard: Standard;
}

/** A whole number; both ends of its range are inclusive. */
export function wholeOption<Standard extends number | undefined>(
  about: string,
  range: Range<Standard>,
): Option<number | Standard> {
  return number(about, 'a whole number', /^\d{1,15}$/, range);
}

/** A number such as 3, 0.5 or .5; both ends of its range are inclusive. */
export function decimalOption<Standard extends number | undefined>(
  about: string,
  range: Range<Standard>,
): Option<number | Standard> {
  return number(about, 'a number', /^\d{0,15}\.?\d{1,15}$/, range);
}

function number<Standard>(
  about: string,
  what: string,
  form: RegExp,
  { min, max, standard }: Range<Standard>,
): Option<number | Standard> {
  return {
    shown: 'N',
    about,
    takes: `${what} from ${min} to ${max}`,
    read: text => (form.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined),
    standard,
  };
}

export function flag(about: string): Option<boolean> {
  return { shown: undefined, about, takes: 'no value', read: () => true, standard: false };
}

/** Any text but an empty one; `shown` stands for it, such as `FILE`. */
export function textOption<Standard extends string | undefined>(
  about: string,
  { shown, takes, standard }: { readonly shown: string; readonly takes: string; readonly standard: Standard },
): Option<string | Standard> {
  return { shown, about, takes, read: given => given || undefined, standard };
}

export function oneOf<Value extends string>(
  about: string,
  values: readonly Value[],
  standard: Value,
): Option<Value> {
  const read = (given: string): Value | undefined => values.find(value => value === given);
  return { shown: values.join('|'), about, takes: values.join(', '), read, standard };
}

/** The address of an HTTP server. */
export function address<Standard extends string | undefined>(
  about: string,
  standard: Standard,
): Option<string | Standard> {
  return { shown: 'URL', about, takes: HTTP_URL, read: parseUrl, standard };
}
