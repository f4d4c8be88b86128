/** Starts in unusual places: they work, or end with one line that says why. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { descriptorsMax } from '../settings/descriptors.ts';
import { withoutHaproxy } from '../testing/haproxy.ts';
import { program } from '../testing/processes.ts';
import { launchStack, type RunningStack, startStack } from '../testing/stack.ts';
import { until } from '../testing/until.ts';
import { readSettings } from './settings.ts';

const withoutIpv6 = await new Promise<string | false>(resolve => {
  const probe = createServer();
  probe.once('error', ({ message }) => resolve(`no IPv6 (${message})`));
  probe.listen(0, '::1', () => probe.close(() => resolve(false)));
});

test('folders with blanks, a dollar, quotes and other letters', async () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'soquete-')), 'a $HOME "übung" €');
  mkdirSync(folder);
  await using stack = await startStack({ folder });
  assert.equal((await fetch(`${stack.url}/health`)).status, 200);
});

test("a RUN_DIR that is a file, or has a folder in a socket's place, is one line", async () => {
  for (const [makeUnusable, what] of [
    [(runDir: string) => writeFileSync(runDir, ''), 'is no folder to write in \\(EEXIST\\)'],
    [
      (runDir: string) => mkdirSync(join(runDir, 'backend-2.sock'), { recursive: true }),
      'backend-2.sock stands where a socket has to be, and cannot be removed \\(\\w+\\)',
    ],
  ] as const) {
    const folder = mkdtempSync(join(tmpdir(), 'soquete-'));
    makeUnusable(join(folder, 'run'));
    await using stack = await launchStack({ folder });
    assert.equal(await stack.launcher.exited, 78);
    assert.match(
      stack.launcher.said(),
      new RegExp(`^soquete: RUN_DIR=\\S+ cannot be used: \\S+ ?${what}; choose [^\\n]+\\n$`),
    );
  }
});

test('what a backend could not use is one line as well, before anything is made or started', async () => {
  for (const [env, line] of [
    [{ ACK_AFTER: 'soon' }, /ACK_AFTER=soon cannot be used: it takes parse, commit, flush/],
    [{ PROCESSOR_DEFAULT_FEE: '2' }, /PROCESSOR_DEFAULT_FEE=2 cannot be used: it takes a number from 0 to 1/],
    [{ BACKENDS: '0' }, /BACKENDS takes a whole number of backends from 1 to 32, not "0"/],
    [{ OPS_TOKEN_FILE: '/nowhere' }, /OPS_TOKEN_FILE=\/nowhere cannot be used: [^\n]+/],
  ] as const) {
    await using stack = await launchStack({ env });
    assert.equal(await stack.launcher.exited, 78);
    assert.match(stack.launcher.said(), new RegExp(`^soquete: ${line.source}\n$`));
    for (const made of ['run', 'data']) assert.equal(existsSync(join(stack.folder, made)), false, made);
  }
});

test('a RUN_DIR too long for the path of a socket is one line', { skip: withoutHaproxy }, async () => {
  const RUN_DIR = join(mkdtempSync(join(tmpdir(), 'soquete-')), 'x'.repeat(100));
  await using stack = await launchStack({ env: { RUN_DIR } });
  assert.equal(await stack.launcher.exited, 78);
  assert.match(
    stack.launcher.said(),
    /^soquete: RUN_DIR=\S+ cannot be used: the path of a socket in it has \d+ bytes, [^\n]+\n$/,
  );
  assert.equal(existsSync(RUN_DIR), false);
});

test('BACKENDS is how many backends there are', async t => {
  for (const env of [
    { BACKENDS: '1' },
    { BACKENDS: '5' },
    { BACKENDS: '2', PROXY: 'tcp' },
    { BACKENDS: '4', PROXY: 'none' },
  ]) {
    await t.test(JSON.stringify(env), async () => {
      await using stack = await startStack({ env });
      const wanted = Array.from({ length: Number(env.BACKENDS) }, (_, at) => `backend-${at + 1}`);
      const answering = new Set<string>();
      await until(async () => {
        // Each time on a connection of its own, which the kernel or HAProxy gives to one of them.
        const answer = await fetch(`${stack.url}/health`, { headers: { connection: 'close' } });
        answering.add(((await answer.json()) as { instance: string }).instance);
        return answering.size === wanted.length;
      }, 'each of them to answer');
      assert.deepEqual([...answering].toSorted(), wanted);
      assert.equal(stack.pids('backends').length, wanted.length);
    });
  }
});

test('a store that cannot be made is one line', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'soquete-'));
  writeFileSync(join(folder, 'data'), '');
  await using stack = await launchStack({ folder });
  assert.equal(await stack.launcher.exited, 78);
  assert.match(
    stack.launcher.said(),
    /^(soquete: HAProxy is not [\s\S]*)?soquete: STORE_URL: cannot use \S+ \(EEXIST\): [^\n]+\n$/,
  );
});

test('of two stacks that start at once on one store one runs, and the other one ends with one line', async () => {
  const store = mkdtempSync(join(tmpdir(), 'soquete-'));
  const env = { STORE_URL: `sqlite:${store}` };
  const launched = [launchStack({ env }), launchStack({ env })] as const;
  await using one = await launched[0];
  await using other = await launched[1];
  const stacks = [one, other];
  const running = (): RunningStack | undefined =>
    stacks.find(({ launcher }) => launcher.said().includes('ready on http'));
  const refused = (): RunningStack | undefined => stacks.find(({ launcher }) => launcher.hasExited());
  await until(() => running() !== undefined && refused() !== undefined, 'one to run');
  assert.equal(await refused()!.launcher.exited, 78);
  assert.match(
    refused()!.launcher.said(),
    /^(soquete: HAProxy is not [\s\S]*)?soquete: INSTANCE backend-1 is in use [^\n]+\n$/,
  );
  assert.notEqual(running(), refused());
  assert.equal((await fetch(`${running()!.url}/health`)).status, 200);
  rmSync(store, { recursive: true, force: true });
});

test('a terminal that is closed does not end a stack without one', async () => {
  await using stack = await startStack();
  process.kill(stack.launcher.pid, 'SIGHUP');
  // It has heard of it before it hears of the next signal.
  assert.equal((await fetch(`${stack.url}/health`)).status, 200);
  assert.equal(stack.launcher.hasExited(), false);
  process.kill(stack.launcher.pid, 'SIGTERM');
  assert.equal(await stack.launcher.exited, 0);
});

test('with few descriptors connections wait, and the start says so', {
  skip: withoutHaproxy || (program('prlimit') === undefined && 'prlimit is not installed'),
}, async () => {
  await using stack = await startStack({ under: ['prlimit', '--nofile=256:256'] });
  assert.match(stack.launcher.said(), /may open 256 files a process [^\n]+ at most 104 connections/);
  // No more than HAProxy and the kernel's queue hold: beyond that a client comes again only after seconds.
  const statuses = await Promise.all(
    Array.from({ length: 150 }, async () => {
      const answer = await fetch(`${stack.url}/health`, { headers: { connection: 'close' } });
      await answer.arrayBuffer();
      return answer.status;
    }),
  );
  assert.deepEqual(new Set(statuses), new Set([200]));
});

test('what the system allows is read from its table of limits', () => {
  const table = (hard: string): string =>
    `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 ${hard}               files     \n`;
  assert.equal(descriptorsMax(table('4096')), 4096);
  assert.equal(descriptorsMax(table('unlimited')), Number.MAX_SAFE_INTEGER);
  assert.equal(descriptorsMax(''), 1024);
});

test('IPv6', { skip: withoutIpv6 }, async t => {
  for (const [env, urls] of [
    [{ HOST: '::' }, ['127.0.0.1', '[::1]']],
    [{ HOST: '[::1]' }, ['[::1]']],
    [{ HOST: '::', PROXY: 'none' }, ['127.0.0.1', '[::1]']],
    [{ PROXY: 'http' }, withoutHaproxy ? ['127.0.0.1'] : ['127.0.0.1', '[::1]']],
  ] as const) {
    await t.test(JSON.stringify(env), async () => {
      await using stack = await startStack({ env });
      for (const host of urls) {
        await until(async () => (await fetch(`http://${host}:${stack.port}/health`)).ok, `${host} to answer`);
      }
    });
  }
});

test('HOST, TRUSTED_PROXIES and limits say what they take', () => {
  assert.deepEqual(readSettings({}).hosts, ['127.0.0.1']);
  assert.deepEqual(readSettings({ HOST: '[::1]' }).hosts, ['::1']);
  const { trustedProxies } = readSettings({ TRUSTED_PROXIES: '10.0.0.0/8, 2001:db8::/32 127.0.0.1' });
  assert.deepEqual(trustedProxies, ['10.0.0.0/8', '2001:db8::/32', '127.0.0.1']);
  for (const [name, value] of [
    ['HOST', 'example.org'],
    ['TRUSTED_PROXIES', '10.0.0.0/33'],
    ['TRUSTED_PROXIES', 'proxy'],
    ['LIMIT_EXEMPT', '::/129'],
    ['LIMIT_CONNECTIONS', '0'],
    ['LIMIT_PAGE_RATE', '9'],
    ['PROXY_PROTOCOL', 'yes'],
  ] as const) {
    assert.throws(() => readSettings({ [name]: value }), new RegExp(`^UnusableSetting: ${name} takes `));
  }
});
