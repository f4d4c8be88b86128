/**
 * What holds the house together and no compiler checks: the bar between core and shell, one meaning a name,
 * no import circle, and pages that a person can read.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');
const LINES_MAX = 400;
const COLUMNS_MAX = 110;

/**
 * Rooms that decide: nothing in them reads a socket, a file, a clock or a coin but through what it is given.
 */
const CORE = [
  'src/domain/',
  'src/http/',
  'src/payments/',
  'src/cluster/',
  'src/processors/',
  'src/simulation/',
];
const CORE_FILES = ['src/storage/ports.ts', 'src/storage/batch.ts', 'src/storage/rollups.ts'];
/** In those rooms: the shells that carry out, and the programs. */
const SHELLS = [
  'src/http/server.ts',
  'src/http/connection-limits.ts',
  'src/http/sockets.ts',
  'src/http/static-page.ts',
  'src/processors/undici-client.ts',
  'src/simulation/main.ts',
];
const PURE_MODULES = [
  'node:path',
  'node:assert',
  'node:assert/strict',
  'node:util',
  'node:crypto',
  'node:buffer',
];
const IMPURE = [
  [/\bDate\.now\(|\bnew Date\(\)|\bperformance\./, 'a clock'],
  [/\bMath\.random\(|\brandomUUID\(|\brandomBytes\(|\bgetRandomValues\(/, 'chance'],
  [/\bset(?:Timeout|Interval|Immediate)\(|\bqueueMicrotask\(/, 'a timer'],
  [/\bprocess\.(?:env|argv|exit|kill|on|cpuUsage|memoryUsage|hrtime|stdout|stdin)\b/, 'the process'],
] as const;

interface Source {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
}

const sources: readonly Source[] = ['src', 'bench', 'client'].flatMap(folder =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map(name => posix.join(folder, name))
    .filter(path => path.endsWith('.ts'))
    .map(path => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      return { path, text, lines: text.split('\n') };
    }),
);

/** A client to copy into other projects has a vocabulary of its own. */
const isApart = ({ path }: Source): boolean => path.startsWith('client/');
const isTest = ({ path }: Source): boolean => /\.test\.ts$/.test(path);
const isCore = (source: Source): boolean =>
  !isTest(source) &&
  !SHELLS.includes(source.path) &&
  (CORE_FILES.includes(source.path) || CORE.some(room => source.path.startsWith(room)));

/** What a file imports, as paths from the project's folder or as names of packages. */
function importsOf({ path, text }: Source): string[] {
  const found = text.matchAll(/(?:^|\n)(?:import|export)\b[^;'"]*?from '([^']+)'|\bimport\('([^']+)'\)/g);
  return [...found].map(([, named, dynamic]) => {
    const name = (named ?? dynamic)!;
    return name.startsWith('.') ? posix.join(posix.dirname(path), name) : name;
  });
}

/** A line without what stands in comments, texts and patterns. */
const codeOf = (line: string): string =>
  line.replace(/^\s*(?:\/?\*|\/\/).*$/, '').replace(/'(?:[^'\\]|\\.)*'|`[^`]*`|\/\/.*$/g, "''");

test('the core imports no I/O, and no shell but as a type', () => {
  const found = sources.filter(isCore).flatMap(source =>
    importsOf(source)
      .filter(name => name.startsWith('node:') && !PURE_MODULES.includes(name))
      .map(name => `${source.path} imports ${name}`),
  );
  assert.deepEqual(found, []);
});

test('the core asks no clock, no chance, no timer and no process', () => {
  const found = sources
    .filter(isCore)
    .flatMap(({ path, lines }) =>
      lines.flatMap((line, at) =>
        IMPURE.filter(([pattern]) => pattern.test(codeOf(line))).map(
          ([, what]) => `${path}:${at + 1} asks ${what}`,
        ),
      ),
    );
  assert.deepEqual(found, []);
});

test(`a file has at most ${LINES_MAX} lines`, () => {
  const found = sources.filter(({ lines }) => lines.length > LINES_MAX + 1);
  assert.deepEqual(
    found.map(({ path, lines }) => `${path} has ${lines.length - 1}`),
    [],
  );
});

test(`a line of a comment has at most ${COLUMNS_MAX} characters`, () => {
  const found = sources.flatMap(({ path, lines }) =>
    lines.flatMap((line, at) =>
      /^\s*(?:\/?\*|\/\/)/.test(line) && [...line].length > COLUMNS_MAX ? [`${path}:${at + 1}`] : [],
    ),
  );
  assert.deepEqual(found, []);
});

test('an exported name means one thing', () => {
  const places = new Map<string, string[]>();
  const pattern =
    /^export (?:declare |abstract |async )*(?:class|interface|type|const|let|function\*?|enum) (\w+)/gm;
  for (const { path, text } of sources.filter(source => !isApart(source))) {
    for (const [, name] of text.matchAll(pattern)) {
      const known = places.get(name!) ?? [];
      // A type and a value of one name in one file are one thing.
      if (!known.includes(path)) places.set(name!, [...known, path]);
    }
  }
  const found = [...places]
    .filter(([, paths]) => paths.length > 1)
    .map(([name, paths]) => `${name}: ${paths.join(', ')}`);
  assert.deepEqual(found.sort(), []);
});

test('no file imports itself, however many files lie between', () => {
  const imports = new Map(sources.map(source => [source.path, importsOf(source)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, above: readonly string[]): void => {
    if (above.includes(path)) circles.push([...above.slice(above.indexOf(path)), path].join(' > '));
    if (done.has(path) || above.includes(path)) return;
    for (const next of imports.get(path) ?? []) visit(next, [...above, path]);
    done.add(path);
  };
  for (const { path } of sources) visit(path, []);
  assert.deepEqual(circles, []);
});
