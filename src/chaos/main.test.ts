import assert from 'node:assert/strict';
import { test } from 'node:test';
import { playChaos } from './main.ts';

test('nothing is lost or double while parts of the real stack are killed and paused', {
  timeout: 120_000,
}, async () => {
  const said: string[] = [];
  const disagreements = await playChaos({
    payments: 3000,
    connections: 8,
    seed: 11,
    everyMs: 250,
    say: line => said.push(line),
  });
  assert.equal(disagreements, 0, said.join('\n'));
});
