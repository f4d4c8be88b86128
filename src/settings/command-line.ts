/**
 * The command line of a program, read once: its values, or one line that says what to mend, or its help.
 *
 * An option is described in one place: how it is read, what it takes, and what the help says about it.
 */
import { parseArgs } from 'node:util';
import { type Environment, environmentReader } from './environment.ts';
import { onOneLine, type SettingReader, UnusableSetting } from './grammar.ts';

export interface Option<Value> extends SettingReader<Value> {
  /** What stands for its value, such as `N`; undefined for a flag. */
  readonly shown: string | undefined;
  readonly about: string;
  /** The value where none is given. */
  readonly standard: Value;
  /** The variable that can say the same; the command line goes before it. */
  readonly variable: string | undefined;
}

/** An option with a value: `--name SHOWN`. */
export function option<Value, Standard extends Value | undefined>(
  about: string,
  shown: string,
  { takes, read }: SettingReader<Value>,
  standard: Standard,
  variable?: string,
): Option<Value | Standard> {
  return { about, shown, takes, read, standard, variable };
}

/** An option without one. */
export const flag = (about: string): Option<boolean> => ({
  about,
  shown: undefined,
  takes: 'no value',
  read: () => true,
  standard: false,
  variable: undefined,
});

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
  readonly words?: {
    readonly known: Readonly<Record<string, string>>;
    readonly max: number;
    /** What a word may be that is not known. */
    readonly others?: SettingReader<string>;
  };
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
  | { readonly is: 'help'; readonly text: string };

/**
 * Reads this process's command line. Ends the process after `--help` (0) and with a line on stderr (2, or
 * `status`).
 */
export function readCommandLine<Known extends Options>(program: Program<Known>): CommandLine<Known> {
  try {
    const reading = readOptions(program, process.argv.slice(2), process.env);
    if (reading.is === 'read') return reading;
    console.log(reading.text);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof UnusableSetting)) throw error;
    console.error(`${program.name}: ${error.message}`);
    process.exit(program.status ?? 2);
  }
}

/**
 * Reads the arguments after the program's name. Of an option that is given twice the last counts. Throws
 * `UnusableSetting`.
 */
export function readOptions<Known extends Options>(
  program: Program<Known>,
  args: readonly string[],
  environment: Environment = {},
): Reading<Known> {
  const { options } = program;
  const tokens = tokensOf(options, args);
  if (tokens.some(token => token.kind === 'option' && token.name === 'help')) {
    return { is: 'help', text: helpOf(program) };
  }
  const given = new Map<string, unknown>();
  for (const token of tokens) {
    if (token.kind === 'option') given.set(token.name, readOption(token, options));
  }
  const words = tokens.flatMap(token => (token.kind === 'positional' ? [token.value] : []));
  checkWords(words, program);
  const readVariable = environmentReader(environment);
  const values = Object.entries(options).map(([name, it]) => {
    if (given.has(name)) return [name, given.get(name)];
    return [name, it.variable === undefined ? it.standard : readVariable(it.variable, it.standard, it)];
  });
  return { is: 'read', values: Object.fromEntries(values), words };
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

type OptionToken = Extract<ReturnType<typeof tokensOf>[number], { kind: 'option' }>;

function readOption({ name, rawName, value, inlineValue }: OptionToken, options: Options): unknown {
  const known = Object.hasOwn(options, name) ? options[name] : undefined;
  if (known === undefined) refuse(`unknown option ${onOneLine(rawName)}; it takes ${usageOf(options)}`);
  const { shown, takes, read } = known;
  if (shown === undefined && value !== undefined) refuse(`${rawName} takes no value`);
  // What looks like the next option is one: its neighbour's value was forgotten.
  const isMissing = value === undefined || (!inlineValue && /^-[^\d.]/.test(value));
  if (shown !== undefined && isMissing) refuse(`${rawName} needs a value: it takes ${takes}`);
  const text = value ?? '';
  return read(text) ?? refuse(`${rawName} ${onOneLine(text)} cannot be used: it takes ${takes}`);
}

/** Checks the words that are no options. */
function checkWords(words: readonly string[], { command, options, words: wanted }: Program<Options>): void {
  if (wanted === undefined) {
    if (words.length === 0) return;
    refuse(`${onOneLine(words[0]!)} is no option; it takes ${usageOf(options)} after ${command}`);
  }
  const known = Object.keys(wanted.known).join(', ');
  const unknown = words
    .filter(word => !Object.hasOwn(wanted.known, word) && wanted.others?.read(word) === undefined)
    .map(onOneLine);
  if (unknown.length > 0) refuse(`there is no ${unknown.join(', ')}; there is ${known}`);
  if (words.length > wanted.max) {
    refuse(`${words[wanted.max]} is one too many; it takes ${wanted.max} of ${known}`);
  }
}

function refuse(what: string): never {
  throw new UnusableSetting(what);
}

function helpOf({ command, about, options, words }: Program<Options>): string {
  const rows = Object.entries(options).map(([name, option]): [string, string] => {
    const { standard, variable } = option;
    const isShown = typeof standard === 'string' || Number.isFinite(standard);
    const notes = [
      ...(isShown ? [String(standard)] : []),
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
