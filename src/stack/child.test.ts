import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../testing/until.ts';
import { type End, guarded, nextPauseMs, SupervisedProcess } from './child.ts';

test('a child that keeps ending is started again at once, then after growing pauses with a bound', () => {
  const pauses: number[] = [];
  let pauseMs: number | undefined;
  for (let starts = 0; starts < 9; starts++) {
    pauseMs = nextPauseMs(pauseMs, 50);
    pauses.push(pauseMs);
  }
  assert.deepEqual(pauses, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
});

test('a child that lived a while is started again at once', () => {
  assert.equal(nextPauseMs(5000, 60_000), 0);
});

function shell(script: string, ends: End[] = []): SupervisedProcess {
  const command = {
    name: 'child',
    ...guarded('/bin/sh', ['-c', script]),
    env: process.env,
    stopSignal: 'SIGTERM',
    speaks: false,
  } as const;
  return new SupervisedProcess(command, end => ends.push(end));
}

test('a child that ends is started again, and its end tells how and with which words', async () => {
  const ends: End[] = [];
  const child = shell('echo a last word >&2; exit 3', ends);
  await until(() => ends.length >= 2, 'the second end');
  await child.stop(1000);
  const { how, status, lastWords } = ends[0]!;
  assert.deepEqual(
    { how, status, lastWords },
    { how: 'with status 3', status: 3, lastWords: ['a last word'] },
  );
});

test('the words of a child that ends begin with the reason, and have no trace in them', async () => {
  const ends: End[] = [];
  const numbers = Array.from({ length: 30 }, (_, index) => index + 1);
  const frames = numbers.map(number => `    at frame ${number}`);
  const words = ['Error: the reason', ...frames, ...numbers.map(number => `more ${number}`)];
  // In one write: what comes after a silence would be other words.
  const child = shell(`printf '%s\\n' '${words.join("' '")}' >&2; exit 1`, ends);
  await until(() => ends.length >= 1, 'its end');
  await child.stop(1000);
  const { lastWords } = ends[0]!;
  assert.deepEqual(lastWords.slice(0, 2), ['Error: the reason', 'more 1']);
  assert.equal(lastWords.length, 10);
});

/** A file that does not exist yet, in a folder that is gone after the test. */
function freshFile(t: TestContext, name: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-child-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, name);
}

test('a guarded program gets the signal that stops it', async t => {
  const ends: End[] = [];
  const [ready, stopped] = [freshFile(t, 'ready'), freshFile(t, 'stopped')];
  const child = shell(`trap ": > ${stopped}; exit 0" TERM; : > ${ready}; while :; do sleep 0.05; done`, ends);
  // A shell that is just being forked may lose a signal.
  await until(() => existsSync(ready), 'the program to start');
  await child.stop(60_000);
  assert.ok(existsSync(stopped), 'it was killed instead');
  assert.deepEqual(ends, []);
});

test('a program that does not stop is killed, with what it started', async t => {
  const started = freshFile(t, 'started');
  // What it starts holds none of its pipes, so nothing else waits for its end.
  const child = shell(
    `trap "" TERM; sleep 1000 <&- >&- 2>&- & echo $! > ${started}.new; mv ${started}.new ${started};
    while :; do sleep 0.05; done`,
  );
  await until(() => existsSync(started), 'the program to start');
  const pid = Number(readFileSync(started, 'utf8'));
  assert.ok(runs(pid));
  await child.stop(1);
  // The signal is sent; the kernel ends each process of the group in its own time.
  await until(() => !runs(pid), 'what it started to end');
});

/** Whether a process has not ended, whoever is to take note of its end. */
function runs(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false; // It is gone.
  }
}
