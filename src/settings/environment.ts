/** The environment of a program, read variable by variable. */
import { onOneLine, type SettingReader, UnusableSetting } from './grammar.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

type Complaint = (name: string, text: string, takes: string) => string;

/**
 * Reads variables; one that is unset or empty has its standard value. Throws `UnusableSetting`, with the line
 * that `complain` makes.
 */
export function environmentReader(environment: Environment, complain: Complaint = cannotBeUsed) {
  return <Value, Standard extends Value | undefined>(
    name: string,
    standard: Standard,
    { takes, read }: SettingReader<Value>,
  ): Value | Standard => {
    const text = environment[name] || undefined;
    if (text === undefined) return standard;
    const value = read(text);
    if (value === undefined) throw new UnusableSetting(complain(name, text, takes));
    return value;
  };
}

const cannotBeUsed: Complaint = (name, text, takes) =>
  // Without a password that an address may hold.
  `${name}=${onOneLine(text).replace(/\/\/[^/@\s]*@/, '//…@')} cannot be used: it takes ${takes}`;
