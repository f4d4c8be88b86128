import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Forecast } from './forecast.ts';

const run = (benchmark: string, contender: string) => ({ benchmark, contender, seconds: 3 });
const RUNS = [run('one', 'a'), run('one', 'b'), run('one', 'a'), run('two', 'a')];

test('what is left is what each contender took before, and a guess of those that never ran', () => {
  const forecast = new Forecast(RUNS, { one: { a: 10, b: 20 } });
  assert.equal(forecast.left(0, 'one'), 40);
  const guess = forecast.left(0, 'two');
  assert.ok(guess > 3);
  assert.equal(forecast.left(0), 40 + guess);
});

test('it gets less while a contender runs, never below nothing, and learns what it took', () => {
  const forecast = new Forecast(RUNS, { one: { a: 10, b: 20 }, two: { a: 5 } });
  forecast.begin('one', 'a', 1000);
  assert.equal(forecast.left(4000, 'one'), 37);
  assert.equal(forecast.left(60_000, 'one'), 30);
  forecast.end(13_000);
  assert.equal(forecast.left(13_000, 'one'), 20 + 12);
  assert.deepEqual(forecast.durationsOf('one', ['a', 'b', 'c']), { a: 12, b: 20 });
});

test('a benchmark that failed is not waited for', () => {
  const forecast = new Forecast(RUNS, { one: { a: 10, b: 20 }, two: { a: 5 } });
  forecast.begin('one', 'a', 0);
  forecast.drop('one');
  assert.equal(forecast.left(0), 5);
});
