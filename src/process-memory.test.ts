import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryOfProcess } from './process-memory.ts';

test('what a process has of memory is a part of what is resident, and grows with what it takes', () => {
  const memory = memoryOfProcess(100e6)!;
  assert.equal(memory.limitBytes, 100e6);
  const before = memory.used()!;
  assert.ok(before > 1e6 && before < process.memoryUsage.rss(), `${before} bytes`);
  const taken = Buffer.alloc(64e6, 1);
  assert.ok(memory.used()! - before > 32e6);
  assert.equal(taken[taken.length - 1], 1);
});

test('a process without a limit has none, however its kernel says so', () => {
  for (const limit of [0, 2 ** 63, 2 ** 64]) assert.equal(memoryOfProcess(limit), undefined);
});
