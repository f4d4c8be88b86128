/**
 * Every benchmark runs, small: what it asserts of its own work is the test. HAProxy is what they measure; a
 * machine without it has no use for them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutHaproxy as skip } from '../src/testing/haproxy.ts';
import { draw } from './report/picture.ts';
import { DEFINITIONS } from './suite/all.ts';
import { measure, resultsTable } from './tools/rounds.ts';

for (const { name, about, open } of DEFINITIONS) {
  test(`${name}: ${about}`, { skip }, async () => {
    await using benchmark = open({ small: true, large: false, long: false });
    const results = await measure(benchmark, { rounds: 1, seconds: 0.3 });
    const [{ figure, mayBeZero } = assert.fail('no column')] = benchmark.columns;
    for (const { name } of benchmark.contenders) {
      const { [figure]: first, work } = results[name]!;
      assert.ok(Number.isSafeInteger(work?.median) && work!.median > 0, `${name} did nothing`);
      assert.ok(Number.isFinite(first?.median), `${name} has no ${figure}`);
      assert.ok(mayBeZero || first!.median > 0, `${name} has a ${figure} of ${first!.median}`);
    }
    assert.match(resultsTable(benchmark.columns, results), /\d/);
    for (const picture of benchmark.pictures?.(results) ?? []) {
      assert.doesNotMatch(draw(picture), /NaN|undefined/, picture.title);
    }
  });
}
