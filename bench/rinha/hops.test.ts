import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hopsTable } from './hops.ts';

test('each hop ends where the next begins, and the slowest are looked at alone', () => {
  const ids = Array.from({ length: 100 }, (_, at) => String(at));
  // The last one waits 50 ms for its log, while its backend collects; the others take 4 ms in all.
  const logMs = (at: number) => (at === 99 ? 50 : 1);
  const sent = ids.map((id, at) => ({ id, sentMs: at * 100, answeredMs: at * 100 + 3 + logMs(at) }));
  const payments = ids.map((id, at) => {
    const came = at * 100 + 1;
    return [id, came, came + logMs(at), came + logMs(at) + 1] as const;
  });
  const lines = hopsTable(sent, [{ payments, collections: [[9_910, 9_920]] }]).split('\n');
  const cells = lines.slice(1, 5).map(line => line.trim().split(/ {2,}/).slice(1));
  assert.deepEqual(cells, [
    ['1.00', '1.00', '1.00', '0 %'],
    ['1.00', '1.00', '50.00', '100 %'],
    ['1.00', '1.00', '1.00', '0 %'],
    ['1.00', '1.00', '1.00', '0 %'],
  ]);
  assert.match(lines.at(-1)!, /100 of 100 .* slowest 1 took 53\.00 ms .* in 1 of them/);
});
