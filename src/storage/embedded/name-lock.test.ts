import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { NameTakenError, StoreOpenError } from '../ports.ts';
import { forgetName, type HeldName, nameFile, takeName } from './name-lock.ts';

const root = mkdtempSync(join(tmpdir(), 'soquete-names-'));
after(() => rmSync(root, { recursive: true }));
const fresh = (): string => mkdtempSync(join(root, 'store-'));

/** Takes the name `a` and holds it until it is killed; says whether it has it, and nothing else. */
const SCRIPT = `
  const { takeName } = await import(${JSON.stringify(join(import.meta.dirname, 'name-lock.ts'))});
  try {
    takeName(process.argv[1], 'a');
    console.log('held as process', process.pid);
    setInterval(() => {}, 1000);
  } catch (error) {
    console.log(error.name);
  }`;

interface Holder {
  readonly process: ChildProcess;
  readonly said: string;
}

/** A process that asked for the name, once it has its answer; `under` a command that runs it. */
async function holder(
  context: TestContext,
  directory: string,
  under: readonly string[] = [],
): Promise<Holder> {
  const [command, ...args] = [...under, process.execPath, '--input-type=module', '-e', SCRIPT, directory];
  const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  const [said] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  return { process: child, said: said.trim() };
}

async function kill({ process }: Holder): Promise<void> {
  const ended = once(process, 'exit');
  process.kill('SIGKILL');
  await ended;
}

/** Whether this process can have the name; it does not keep it. */
function isFree(directory: string): boolean {
  let name: HeldName;
  try {
    name = takeName(directory, 'a');
  } catch (error) {
    assert.ok(error instanceof NameTakenError, String(error));
    return false;
  }
  name.release();
  return true;
}

test('a second process is refused with one line, and changes nothing', async context => {
  const directory = fresh();
  const first = await holder(context, directory);
  assert.match(first.said, /^held/);
  const before = contents(directory);
  assert.deepEqual(
    before.slice(1).map(([name, size]) => [name, name.endsWith('.lock') ? size : 0]),
    [
      ['names', 0],
      ['names/a.lock', 0],
    ],
  );
  assert.throws(() => takeName(directory, 'a'), {
    name: 'NameTakenError',
    message:
      `INSTANCE a is in use by another process on the store ${directory}: ` +
      'end that one, or give this one another INSTANCE or STORE_URL',
  });
  assert.deepEqual(contents(directory), before);
  takeName(directory, 'b').release();
  assert.equal(isFree(directory), false, 'another name is no matter');
});

function contents(directory: string): [name: string, size: number, changedAtMs: number][] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return ['.', ...names].map(name => {
    const { size, mtimeMs } = statSync(join(directory, name));
    return [name, size, mtimeMs];
  });
}

test('the name is free as soon as its process was killed, and not while it is only stopped', async context => {
  const directory = fresh();
  for (let times = 0; times < 3; times++) {
    const first = await holder(context, directory);
    assert.match(first.said, /^held/);
    first.process.kill('SIGSTOP');
    assert.equal(isFree(directory), false);
    await kill(first);
    assert.equal(isFree(directory), true);
  }
});

/** Waits for a word, then takes three hundred names as fast as it can, and says which it has. */
const RACER = `
  const { takeName } = await import(${JSON.stringify(join(import.meta.dirname, 'name-lock.ts'))});
  console.log('ready');
  process.stdin.once('data', () => {
    const taken = [];
    for (let number = 0; number < 300; number++) {
      try {
        takeName(process.argv[1], String(number));
        taken.push(number);
      } catch (error) {
        if (error.name !== 'NameTakenError') throw error;
      }
    }
    console.log(taken.join());
  });`;

test('of processes that ask at the same moment exactly one has the name', async context => {
  const args = ['--input-type=module', '-e', RACER, fresh()];
  const racers = Array.from({ length: 3 }, () =>
    spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  context.after(() => racers.forEach(racer => void racer.kill('SIGKILL')));
  const answers = () => Promise.all(racers.map(racer => once(racer.stdout.setEncoding('utf8'), 'data')));
  await answers();
  const said = answers();
  for (const racer of racers) racer.stdin.write('go');
  const taken = (await said).flatMap(([names]) => (names as string).trim().split(',')).filter(Boolean);
  assert.deepEqual(
    taken.map(Number).sort((one, other) => one - other),
    Array.from({ length: 300 }, (_, number) => number),
  );
});

/** Runs a program as the first process of a world of its own, as a container does. */
const CONTAINER = ['unshare', '--pid', '--fork', '--kill-child'];
const isWithoutContainers =
  spawnSync(CONTAINER[0]!, [...CONTAINER.slice(1), 'true']).status !== 0 && 'unshare is not allowed here';

test('two containers that share the directory are two processes, though both have the number 1', {
  skip: isWithoutContainers,
}, async context => {
  const directory = fresh();
  const first = await holder(context, directory, CONTAINER);
  assert.equal(first.said, 'held as process 1');
  assert.equal((await holder(context, directory, CONTAINER)).said, 'NameTakenError');
});

test('asking again in the process that has the name does not lose it', async context => {
  const directory = fresh();
  const name = takeName(directory, 'a');
  assert.equal(isFree(directory), false);
  // POSIX would have dropped the lock with the descriptor of that try.
  assert.equal((await holder(context, directory)).said, 'NameTakenError');
  name.release();
  name.release();
  const second = await holder(context, directory);
  assert.match(second.said, /^held/);
});

test('a name that nobody refers to any more is held all the same', async context => {
  const directory = fresh();
  const script = SCRIPT.replace('setInterval', 'await null; gc(); setInterval');
  const args = ['--expose-gc', '--input-type=module', '-e', script, directory];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  assert.equal(isFree(directory), false);
});

test('a directory that comes back, or a file that was replaced, can be taken anew', async context => {
  const directory = fresh();
  const before = takeName(directory, 'a');
  renameSync(directory, `${directory}-away`);
  mkdirSync(directory);
  const meanwhile = takeName(directory, 'a');
  rmSync(directory, { recursive: true });
  renameSync(`${directory}-away`, directory);
  assert.equal(isFree(directory), false, 'of the directory that was away it is still held');
  before.release();
  const again = takeName(directory, 'a');
  rmSync(nameFile(directory, 'a'));
  const anew = takeName(directory, 'a');
  again.release();
  meanwhile.release();
  assert.equal((await holder(context, directory)).said, 'NameTakenError');
  anew.release();
});

/** What taking a name is refused with where nobody has it: always one line. */
function refusal(directory: string): string {
  try {
    takeName(directory, 'a').release();
  } catch (error) {
    assert.ok(error instanceof StoreOpenError && !(error instanceof NameTakenError), String(error));
    assert.doesNotMatch(error.message, /\n/);
    return error.message;
  }
  return 'taken';
}

test('a file or a directory that cannot be used is one line', () => {
  const [readOnly, others, odd, none] = [fresh(), fresh(), fresh(), join(fresh(), 'file')];
  takeName(readOnly, 'b').release();
  chmodSync(join(readOnly, 'names'), 0o555);
  takeName(others, 'a').release();
  chmodSync(nameFile(others, 'a'), 0o444);
  mkdirSync(join(odd, 'names'));
  writeFileSync(nameFile(odd, 'a'), 'a file of somebody else, long enough for a header'.repeat(100));
  writeFileSync(none, '');
  assert.match(refusal(none), /^STORE_URL: cannot use .*file \(ENOTDIR\): it has to be a directory/);
  const unusable = / that this user can write$/;
  assert.match(refusal(odd), unusable);
  // Nothing is forbidden to root: be somebody else for a moment.
  const isRoot = process.geteuid!() === 0;
  if (isRoot) {
    chmodSync(root, 0o755);
    for (const directory of [readOnly, others]) chmodSync(directory, 0o755);
    process.seteuid!(65534);
  }
  try {
    assert.match(refusal(readOnly), unusable);
    assert.match(refusal(others), unusable);
    assert.match(refusal(join(root, 'new')), /it has to be a directory that this user can write in$/);
  } finally {
    if (isRoot) process.seteuid!(0);
    chmodSync(join(readOnly, 'names'), 0o755);
  }
});

test('the file of a name goes with it, unless somebody holds it', () => {
  const directory = fresh();
  const own = takeName(directory, 'a');
  forgetName(directory, 'a');
  own.assertInPlace();
  own.release();
  forgetName(directory, 'a');
  forgetName(directory, 'never there');
  assert.deepEqual(readdirSync(join(directory, 'names')), []);
  takeName(directory, 'a').release();
});
