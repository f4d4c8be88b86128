import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { constants, getPriority } from 'node:os';
import { test } from 'node:test';
import { letCompilersGiveWay } from './priority.ts';

const skip = process.platform === 'linux' ? false : 'threads have a priority of their own on Linux only';

test('compiling threads give way, all others stay as they are', { skip }, () => {
  const threads = readdirSync('/proc/self/task').map(thread => ({
    thread: Number(thread),
    name: readFileSync(`/proc/self/task/${thread}/comm`, 'latin1').trim(),
  }));
  const before = getPriority();
  letCompilersGiveWay();
  const compilers = threads.filter(({ name }) => name === 'node-V8Worker');
  assert.notEqual(compilers.length, 0, 'this Node.js calls its compiling threads by another name');
  for (const { thread, name } of threads) {
    const expected = compilers.some(compiler => compiler.thread === thread)
      ? constants.priority.PRIORITY_BELOW_NORMAL
      : before;
    assert.equal(getPriority(thread), expected, name);
  }
});
