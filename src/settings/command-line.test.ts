import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { PROJECT_FOLDER } from '../stack/project.ts';
import { flag, type Option, option, type Program, readOptions } from './command-line.ts';
import { decimalNumber, httpUrl, oneOf, someText, UnusableSetting, wholeNumber } from './grammar.ts';

type AnyProgram = Program<Readonly<Record<string, Option<unknown>>>>;

const baker = {
  name: 'baker',
  command: 'npm run baker --',
  about: 'Bakes.',
  options: {
    loaves: option('how many', 'N', wholeNumber(1, 99), 3),
    hours: option('how long', 'N', decimalNumber(0.5, 24), undefined),
    crust: option('what it is like', 'soft|dark', oneOf('soft', 'dark'), 'soft'),
    oven: option('where', 'URL', httpUrl, 'http://localhost:1', 'OVEN'),
    recipe: option('what of', 'FILE', someText('a file'), undefined),
    salted: flag('with salt'),
  },
};
const standards = {
  loaves: 3,
  hours: undefined,
  crust: 'soft',
  oven: 'http://localhost:1',
  recipe: undefined,
  salted: false,
};
const sorter: AnyProgram = {
  name: 'sorter',
  command: 'sort',
  about: 'Sorts.',
  options: {},
  words: { known: { up: 'smallest first', down: 'largest first' }, max: 1 },
};

const valuesOf = (args: readonly string[], environment = {}): unknown => {
  const reading = readOptions(baker, args, environment);
  return reading.is === 'read' ? reading.values : reading;
};
const complaintOf = (args: readonly string[], program: AnyProgram = baker, environment = {}): unknown => {
  try {
    return readOptions(program, args, environment);
  } catch (error) {
    assert.ok(error instanceof UnusableSetting);
    return `${program.name}: ${error.message}`;
  }
};

test('each option is read as what it is, and has its standard value where it is not given', () => {
  assert.deepEqual(valuesOf([]), standards);
  const all = '--loaves 4 --hours=.5 --crust dark --oven https://oven --recipe rye.txt --salted'.split(' ');
  assert.deepEqual(valuesOf(all), {
    loaves: 4,
    hours: 0.5,
    crust: 'dark',
    oven: 'https://oven',
    recipe: 'rye.txt',
    salted: true,
  });
  assert.deepEqual(valuesOf(['--loaves', '4', '--loaves', '5']), { ...standards, loaves: 5 });
});

test('the command line goes before the environment, and an empty variable is none', () => {
  assert.deepEqual(valuesOf([], { OVEN: 'http://oven' }), { ...standards, oven: 'http://oven' });
  assert.deepEqual(valuesOf([], { OVEN: '' }), standards);
  const both = valuesOf(['--oven', 'http://other'], { OVEN: 'none' });
  assert.deepEqual(both, { ...standards, oven: 'http://other' });
  assert.equal(
    complaintOf([], baker, { OVEN: 'none' }),
    'baker: OVEN=none cannot be used: it takes an http:// or https:// address',
  );
});

test('both ends of a range are inside', () => {
  assert.deepEqual(valuesOf(['--loaves', '1', '--hours', '24']), { ...standards, loaves: 1, hours: 24 });
  for (const loaves of ['0', '100', '2.5', '1e1', 'abc', '-1', '0x10', ' 1', '٣', '']) {
    assert.match(String(complaintOf([`--loaves=${loaves}`])), /takes a whole number from 1 to 99$/, loaves);
  }
  for (const hours of ['0.4', '24.1', '1.', '.', '1.2.3', 'Infinity', 'NaN', '-1', '']) {
    assert.match(String(complaintOf([`--hours=${hours}`])), /takes a number from 0.5 to 24$/, hours);
  }
});

const USAGE = '--loaves N, --hours N, --crust soft|dark, --oven URL, --recipe FILE, --salted';

test('what cannot be used is one line that says what to mend', () => {
  const complaints = {
    '--nonsense': `baker: unknown option --nonsense; it takes ${USAGE}`,
    '--toString': `baker: unknown option --toString; it takes ${USAGE}`,
    '--no-salted': `baker: unknown option --no-salted; it takes ${USAGE}`,
    '-x': `baker: unknown option -x; it takes ${USAGE}`,
    '5': `baker: 5 is no option; it takes ${USAGE} after npm run baker --`,
    '--loaves': 'baker: --loaves needs a value: it takes a whole number from 1 to 99',
    '--loaves --salted': 'baker: --loaves needs a value: it takes a whole number from 1 to 99',
    '--loaves -1': 'baker: --loaves -1 cannot be used: it takes a whole number from 1 to 99',
    '--crust burnt': 'baker: --crust burnt cannot be used: it takes soft, dark',
    '--oven ftp://oven': 'baker: --oven ftp://oven cannot be used: it takes an http:// or https:// address',
    '--recipe=': 'baker: --recipe "" cannot be used: it takes a file',
    '--salted=no': 'baker: --salted takes no value',
    '--a\nb': `baker: unknown option "--a\\nb"; it takes ${USAGE}`,
    '--crust a\nb': 'baker: --crust "a\\nb" cannot be used: it takes soft, dark',
  };
  for (const [typed, line] of Object.entries(complaints)) assert.equal(complaintOf(typed.split(' ')), line);
});

test('words are taken where a program has some, those that it knows', () => {
  assert.deepEqual(readOptions(sorter, ['up']), { is: 'read', values: {}, words: ['up'] });
  assert.deepEqual(readOptions(sorter, []), { is: 'read', values: {}, words: [] });
  assert.equal(
    complaintOf(['left', 'up', 'valueOf'], sorter),
    'sorter: there is no left, valueOf; there is up, down',
  );
  assert.equal(complaintOf(['up', 'down'], sorter), 'sorter: down is one too many; it takes 1 of up, down');
});

test('help has a line for each option and each word, and goes before any complaint', () => {
  const help = readOptions(baker, ['--nonsense', '--help']);
  assert.deepEqual(help.is === 'help' && help.text.split('\n'), [
    'npm run baker -- [options]',
    '',
    'Bakes.',
    '',
    '  --loaves N         how many (3)',
    '  --hours N          how long',
    '  --crust soft|dark  what it is like (soft)',
    '  --oven URL         where (http://localhost:1, or OVEN)',
    '  --recipe FILE      what of',
    '  --salted           with salt',
    '  --help             prints this',
  ]);
  const words = readOptions(sorter, ['-h']);
  assert.match(
    words.is === 'help' ? words.text : '',
    /^sort \[options\] \[name\]\n[\s\S]*\n {2}up {4}smallest first\n/,
  );
});

/** The programs, and the status with which they say that a command line cannot be used. */
const PROGRAMS = [
  ['src/fuzz/main.ts', 2],
  ['src/simulation/main.ts', 2],
  ['src/audit/main.ts', 2],
  ['src/processor-simulator/main.ts', 2],
  ['src/chaos/main.ts', 2],
  ['bench/bench.ts', 78],
  ['bench/profile.ts', 2],
  ['bench/rinha.ts', 78],
] as const;

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (program: string, option: string): Promise<Ended> =>
  new Promise(resolve => {
    const script = join(PROJECT_FOLDER, program);
    execFile(process.execPath, [script, option], (error, stdout, stderr) =>
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });

describe('the command line of each program', { concurrency: 4 }, () => {
  for (const [program, status] of PROGRAMS) {
    test(`${program} ends with one line when it is asked for nonsense, and explains itself`, async () => {
      const unknown = await run(program, '--nonsense');
      assert.match(unknown.stderr, /^[a-z: ]+: unknown option --nonsense; it takes --[^\n]+\n$/);
      assert.deepEqual([unknown.status, unknown.stdout], [status, '']);

      const help = await run(program, '--help');
      assert.match(help.stdout, /^(npm run|node) [^\n]+\n\n[\s\S]+\n {2}--help +prints this\n/);
      assert.deepEqual([help.status, help.stderr], [0, '']);
      for (const option of unknown.stderr.trim().split('it takes ')[1]!.split(', ')) {
        assert.ok(help.stdout.includes(`\n  ${option} `), `${option} is not explained`);
      }
    });
  }
});
