/**
 * The examples of `http/connection.examples.md`: what a client sends, and what it is answered. The head of
 * that document says how they are written.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

export interface Example {
  /** Its section and its title, both without what stands behind them in brackets. */
  readonly name: string;
  readonly bytes: Buffer;
  /** The client ends its side behind the bytes. */
  readonly ends: boolean;
  readonly answers: readonly ExpectedAnswer[];
}

export interface ExpectedAnswer {
  readonly status: number;
  readonly closes: boolean;
  readonly isEmpty: boolean;
  readonly contains: readonly string[];
  readonly lacks: readonly string[];
}

/** All of them, in their order. Throws when one is not written as it should be, or two have one name. */
export function readExamples(): Example[] {
  const text = readFileSync(new URL('../http/connection.examples.md', import.meta.url), 'utf8');
  const form = /^## (.+)$|^### (.+)\n\n```bytes\n([\s\S]*?)\n```\n\n```answers\n([\s\S]*?)\n```$/gm;
  const examples: Example[] = [];
  const plain = (heading: string): string => heading.replace(/ \(.*\)$/, '');
  let section = '';
  for (const [, heading, title, bytes, answers] of text.matchAll(form)) {
    if (heading !== undefined) section = plain(heading);
    else
      examples.push({
        name: `${section}: ${plain(title!)}`,
        bytes: exampleBytes(bytes!),
        ends: bytes!.endsWith('\\end'),
        answers: answers!.split('\n').map(expectedOf),
      });
  }
  assert.equal(examples.length, text.match(/^### /gm)?.length, 'every heading of level 3 is an example');
  assert.equal(new Set(examples.map(({ name }) => name)).size, examples.length, 'each has a name of its own');
  return examples;
}

const ESCAPED: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' };

function exampleBytes(block: string): Buffer {
  const repeated = block
    .replaceAll('\n', '')
    .replace(/\\end$/, '')
    .replace(/\\\{(\d+)\*(.*?)\}/g, (_, times: string, part: string) => part.repeat(Number(times)));
  const plain = repeated.replace(
    /\\(?:x([0-9a-f]{2})|([rnt0\\]))/g,
    (_, hex: string | undefined, letter: string) =>
      hex === undefined ? ESCAPED[letter]! : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(plain, 'latin1');
}

function expectedOf(line: string): ExpectedAnswer {
  const quoted = /(!?)("(?:[^"\\]|\\.)*")/g;
  const words = line.replace(quoted, '').split(' ');
  const texts = [...line.matchAll(quoted)].map(([, sign, text]) => ({
    sign,
    text: JSON.parse(text!) as string,
  }));
  return {
    status: Number(words[0]),
    closes: words.includes('close'),
    isEmpty: words.includes('empty'),
    contains: texts.filter(({ sign }) => sign === '').map(({ text }) => text),
    lacks: texts.filter(({ sign }) => sign === '!').map(({ text }) => text),
  };
}
