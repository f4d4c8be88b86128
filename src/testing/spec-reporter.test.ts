import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestEvent } from 'node:test/reporters';
import report from './spec-reporter.ts';

const passed = (name: string, skip?: string | boolean) =>
  ({
    type: 'test:pass',
    data: { name, nesting: 0, testNumber: 1, details: { duration_ms: 1, type: 'test' }, skip },
  }) as unknown as TestEvent;
const summary = (message: string) =>
  ({ type: 'test:diagnostic', data: { nesting: 0, message } }) as TestEvent;

async function textOf(events: readonly TestEvent[]): Promise<string> {
  const source = (async function* () {
    yield* events;
  })();
  let text = '';
  for await (const piece of report(source)) text += piece;
  return text;
}

test('what was skipped is listed by its reason, before the summary', async () => {
  const text = await textOf([
    passed('one', 'HAProxy is not installed'),
    passed('two'),
    passed('three', true),
    passed('four', 'HAProxy is not installed'),
    summary('tests 4'),
    summary('pass 1'),
  ]);
  const list =
    'Not tested here: HAProxy is not installed\n  one\n  four\n\nNot tested here: no reason is given\n  three\n';
  assert.ok(text.includes(list), text);
  assert.ok(text.indexOf(list) < text.indexOf('ℹ tests 4'));
  assert.match(text, /ℹ pass 1\n$/);
});

test('where nothing was skipped, nothing is listed', async () => {
  assert.doesNotMatch(await textOf([passed('one'), summary('tests 1')]), /Not tested/);
});
