import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lossBetween, lsnOf } from './history.ts';

const before = { system: '7', timeline: 1, started: '100.5', lsn: lsnOf('1/10'), inserted: lsnOf('1/10') };

test('a position in the WAL is a number', () => {
  assert.equal(lsnOf('16/B374D848'), 0x16_b374_d848n);
  assert.ok(lsnOf('1/0') > lsnOf('0/FFFFFFFF'));
});

test('the same history, as long or longer, has lost nothing, also after another start', () => {
  const later = { ...before, started: '200', lsn: lsnOf('1/20'), inserted: lsnOf('1/20') };
  const unwritten = { ...before, lsn: lsnOf('1/F') };
  for (const now of [before, later, unwritten]) assert.equal(lossBetween(before, now, true), undefined);
});

test('another cluster, another timeline and a shorter history may have lost something', () => {
  const ends = [
    [{ ...before, system: '8' }, /another database cluster/],
    [{ ...before, timeline: 2, lsn: lsnOf('2/0'), inserted: lsnOf('2/0') }, /timeline 2, before 1/],
    [{ ...before, lsn: lsnOf('1/F'), inserted: lsnOf('1/F') }, /ends 1 bytes before/],
  ] as const;
  for (const [now, says] of ends) assert.match(lossBetween(before, now, true)!, says);
});

test('commits that did not wait for the disk may be lost by another start', () => {
  const later = { ...before, started: '200', lsn: lsnOf('1/20'), inserted: lsnOf('1/20') };
  assert.match(lossBetween(before, later, false)!, /ACK_AFTER=parse/);
  assert.equal(lossBetween(before, { ...before, inserted: lsnOf('1/20') }, false), undefined);
});
