import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';

const SCRIPT = join(import.meta.dirname, 'main.ts');

interface Started {
  readonly child: ChildProcess;
  /** Its first line, on either stream. */
  readonly line: string;
}

async function start(
  t: TestContext,
  options: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Started> {
  const child = spawn(process.execPath, [SCRIPT, ...options], { env: { ...process.env, ...env } });
  t.after(() => child.kill('SIGKILL'));
  const lines = [child.stdout, child.stderr].map(stream => once(createInterface({ input: stream }), 'line'));
  const [line] = (await Promise.race(lines)) as [string];
  return { child, line };
}

const urls = (line: string): string[] => line.match(/http:\S+?(?=,|$)/g) ?? [];

test('both processors run in one process, say so in one line, and end at once on SIGTERM', async t => {
  const { child, line } = await start(t, ['--default', '0', '--fallback', '0']);
  assert.match(line, /^simulated processors ready: default on http:\S+, fallback on http:\S+$/);
  for (const [at, name] of ['default', 'fallback'].entries()) {
    const answer = await fetch(`${urls(line)[at]}/admin/configurations`, {
      headers: { 'x-rinha-token': '123' },
    });
    assert.equal(((await answer.json()) as { name: string }).name, name);
  }
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('each can run in a process of its own, told by options or by the environment', async t => {
  const one = await start(t, ['--fallback', '0']);
  assert.match(one.line, /ready: fallback on \S+$/);
  const other = await start(t, [], { DEFAULT_PORT: '0', HOST: '127.0.0.1' });
  assert.match(other.line, /ready: default on \S+$/);
});

test('a port that is taken, or is none, is one clear line', async t => {
  const { line } = await start(t, ['--default', '0']);
  const { port } = new URL(urls(line)[0]!);
  const second = await start(t, ['--default', port]);
  assert.match(second.line, new RegExp(`cannot listen on 127.0.0.1 port ${port} .*--default`));
  assert.equal((await once(second.child, 'exit'))[0], 1);
  const third = await start(t, ['--fallback', 'x']);
  assert.match(third.line, /--fallback x cannot be used: it takes a port from 0 to 65535/);
});
