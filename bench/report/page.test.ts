import assert from 'node:assert/strict';
import { test } from 'node:test';
import { page } from './page.ts';

const machine = { cpu: 'a <fast> one', cores: 2, node: 'v26' };
const measured = (value: number) => ({ median: value, spread: 0.1, ratio: 1, values: [value, value * 1.1] });

test('the report draws what was kept, and nothing in it is taken for markup', () => {
  const html = page({
    sockets: {
      at: '2026-07-10T12:00:00.000Z',
      machine,
      about: 'a & b',
      rounds: 2,
      seconds: 1,
      columns: [{ figure: 'perSecond', title: 'payments/s', ratio: true }],
      notes: ['nginx & more are left out'],
      pictures: [
        {
          title: 'by <size>',
          x: { title: 'stored', logarithmic: true },
          y: { title: 'ms' },
          lines: [
            {
              title: 'p50',
              points: [
                [1e4, 2],
                [1e6, 3],
                [1e7, Number.NaN],
              ],
            },
            { title: 'none', points: [] },
          ],
        },
      ],
      results: { 'Unix <sockets>': { perSecond: measured(20_000), p50: measured(1), p99: measured(9) } },
    },
  });
  assert.equal(html.match(/<svg/g)?.length, 3);
  assert.match(html, /nginx &#38; more/);
  assert.match(html, /1 M</);
  assert.match(html, /Unix &#60;sockets&#62;/);
  assert.doesNotMatch(html, /<fast>|<size>|NaN|undefined/);
});
