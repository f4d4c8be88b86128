/** Each attack for a moment, all in one stack: no payment of the honest client fails, and nothing ends. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withoutHaproxy as skip } from '../src/testing/haproxy.ts';

const SOME = ['pipelined metrics', 'idle connections', 'slow heads', 'bodies too large', 'no HTTP'];

test('some attacks, a second each: zero errors and no backend ends', { skip }, () => {
  const script = fileURLToPath(new URL('siege.ts', import.meta.url));
  // Speed says nothing here: other tests run beside it.
  const args = [script, '--seconds', '1', '--rate', '50', '--slower', '100000', ...SOME];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  for (const name of SOME) assert.match(stderr, new RegExp(`^${name}: held`, 'm'));
});
