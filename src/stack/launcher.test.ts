/**
 * The real stack: processes, sockets, HAProxy, simulated processors, each test on ports and in a folder of
 * its own.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { AdminClient } from '../processor-simulator/admin-client.ts';
import { type HeldName, takeName } from '../storage/embedded/name-lock.ts';
import { NameTakenError } from '../storage/ports.ts';
import { spawnBackend } from '../testing/backends.ts';
import { withoutHaproxy } from '../testing/haproxy.ts';
import { freePorts } from '../testing/ports.ts';
import { ChildProcesses } from '../testing/processes.ts';
import { send } from '../testing/raw-client.ts';
import { BACKENDS, launchStack, type RunningStack, startStack } from '../testing/stack.ts';
import { until } from '../testing/until.ts';
import { accepts } from './ready.ts';

interface Total {
  readonly totalRequests: number;
  readonly totalAmount: number;
}

type Books = Readonly<Record<'default' | 'fallback', Total>>;

/** Posts `count` payments of different amounts, `concurrency` at once; returns how many got each status. */
async function pay(stack: RunningStack, count: number, concurrency = 8): Promise<Record<string, number>> {
  const answers: Record<string, number> = {};
  let left = count;
  const user = async (): Promise<void> => {
    while (left-- > 0) {
      const payment = JSON.stringify({ correlationId: randomUUID(), amount: (left + 1) / 100 });
      const key = await fetch(`${stack.url}/payments`, { method: 'POST', body: payment }).then(
        async answer => {
          await answer.arrayBuffer();
          return String(answer.status);
        },
        error => String(error.cause?.code ?? error),
      );
      answers[key] = (answers[key] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, user));
  return answers;
}

async function summary(stack: RunningStack): Promise<Books> {
  return (await (await fetch(`${stack.url}/payments-summary`)).json()) as Books;
}

/** What the processors themselves have booked. */
async function booked(stack: RunningStack): Promise<Books> {
  const ask = async (url: string): Promise<Total> => {
    await using admin = new AdminClient(url);
    const { count, cents } = await admin.summary();
    return { totalRequests: count, totalAmount: Number(cents) / 100 };
  };
  const [first, second] = stack.processorUrls;
  return { default: await ask(first), fallback: await ask(second) };
}

/** Waits until `count` payments are settled, then compares the books, to the cent. */
async function assertSettled(stack: RunningStack, count: number): Promise<void> {
  await until(async () => {
    const { default: first, fallback: second } = await summary(stack);
    return first.totalRequests + second.totalRequests >= count;
  }, `${count} payments to be settled`);
  const books = await summary(stack);
  assert.equal(books.default.totalRequests + books.fallback.totalRequests, count);
  assert.deepEqual(books, await booked(stack));
}

test('payments through HAProxy are settled, and all books agree', { skip: withoutHaproxy }, async () => {
  await using stack = await startStack();
  assert.deepEqual(await pay(stack, 300), { 202: 300 });
  await assertSettled(stack, 300);
});

test('a backend killed under load costs no request and no payment', { skip: withoutHaproxy }, async () => {
  await using stack = await startStack();
  const paying = pay(stack, 1500);
  for (const name of ['backend-2', 'backend-3', 'backend-2'] as const) {
    const [pid] = stack.signal('SIGKILL', name);
    assert.ok(pid !== undefined, `${name} runs`);
    await until(() => {
      const [again] = stack.pids(name);
      return again !== undefined && again !== pid;
    }, `${name} to be started again`);
  }
  assert.deepEqual(await paying, { 202: 1500 });
  assert.doesNotMatch(stack.launcher.said(), /is in use/, 'the name of a killed process is free at once');
  await assertSettled(stack, 1500);
});

test('HAProxy in HTTP mode: limits are the same for each request of a connection', {
  skip: withoutHaproxy,
}, async () => {
  await using stack = await startStack();
  const first = 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n';
  const padded = (byteCount: number): string =>
    `GET /livez HTTP/1.1\r\nHost: a\r\nA: ${'a'.repeat(byteCount)}\r\nConnection: close\r\n\r\n`;
  for (const [byteCount, status] of [
    [15_000, 200],
    [16_300, 200],
    [17_000, 431],
    [20_000, 431],
  ] as const) {
    assert.match(await send(stack.port, [padded(byteCount)]), new RegExp(`^HTTP/1.1 ${status} `));
    const later = await send(stack.port, [first + padded(byteCount)]);
    assert.match(later, new RegExp(`^HTTP/1.1 200 [\\s\\S]*HTTP/1.1 ${status} `), `${byteCount}`);
  }
});

test('in TCP mode every byte reaches a backend', { skip: withoutHaproxy }, async () => {
  await using stack = await startStack({ env: { PROXY: 'tcp' } });
  await until(() => stack.launcher.said().includes('set OPS_TOKEN to watch it'), 'how to watch it');
  assert.deepEqual(await pay(stack, 100), { 202: 100 });
  await assertSettled(stack, 100);
  const [good, bad] = [
    'GET /health HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /health HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n',
  ];
  assert.match(
    await send(stack.port, [good + bad]),
    /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 400 [\s\S]*problem\+json/,
  );
});

test('without HAProxy the backends share the port', async () => {
  await using stack = await startStack({ env: { PROXY: 'none' } });
  const instances = new Set<string>();
  await until(async () => {
    const answer = await fetch(`${stack.url}/health`, { headers: { connection: 'close' } });
    instances.add(((await answer.json()) as { instance: string }).instance);
    return instances.size === 3;
  }, 'each backend to answer');
  assert.deepEqual(await pay(stack, 100), { 202: 100 });
  await assertSettled(stack, 100);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
  test(`${signal} to the launcher leaves no process and no socket`, async () => {
    await using stack = await startStack();
    await pay(stack, 20);
    process.kill(stack.launcher.pid, signal);
    const status = await stack.launcher.exited;
    if (signal !== 'SIGKILL') assert.equal(status, 0);
    await until(() => stack.pids().length === 0, 'every process to end');
    assert.deepEqual(readdirSync(join(stack.folder, 'run')), []);
  });
}

test('payments taken while no processor could be reached survive the death of every process', async () => {
  const [byDefault, byFallback] = await freePorts(2);
  const before = await startStack({
    env: {
      PROCESSOR_DEFAULT_URL: `http://127.0.0.1:${byDefault}`,
      PROCESSOR_FALLBACK_URL: `http://127.0.0.1:${byFallback}`,
    },
  });
  await until(() => before.launcher.said().includes('  Watch it in a browser: http'), 'how to watch it');
  assert.deepEqual(await pay(before, 50), { 202: 50 });
  await before.kill();
  // At the same addresses: an attempt may have been on its way to one of them.
  const env = { PROCESSOR_DEFAULT_PORT: String(byDefault), PROCESSOR_FALLBACK_PORT: String(byFallback) };
  await using after = await startStack({ folder: before.folder, env });
  assert.deepEqual(await pay(after, 50), { 202: 50 });
  await assertSettled(after, 100);
});

test('a busy port is one line, and nothing is started', async () => {
  const holder = createServer();
  await new Promise<void>(resolve => holder.listen(0, '0.0.0.0', resolve));
  const { port } = holder.address() as { port: number };
  try {
    await using stack = await launchStack({ env: { PORT: String(port) } });
    assert.equal(await stack.launcher.exited, 78);
    assert.match(stack.launcher.said(), new RegExp(`^soquete: port ${port} is in use: [^\n]+PORT=\n$`));
    assert.equal(existsSync(join(stack.folder, 'run')), false);
  } finally {
    holder.close();
  }
});

// Without HAProxy there are no sockets to quarrel about.
test('a second stack in the same run directory is refused', { skip: withoutHaproxy }, async () => {
  await using first = await startStack();
  await using second = await launchStack({ env: { RUN_DIR: join(first.folder, 'run') } });
  await second.launcher.exited;
  assert.match(second.launcher.said(), /^soquete: .+ is served by another stack: [^\n]+\n$/);
  assert.equal((await fetch(`${first.url}/health`)).status, 200);
});

/** Pays until `disturbance` is over, 300 payments at least, and looks each of them up in the end. */
async function assertUndisturbed(stack: RunningStack, disturbance: Promise<unknown>): Promise<void> {
  let isOver = false;
  const over = disturbance.finally(() => {
    isOver = true;
  });
  over.catch(() => undefined);
  const ids: string[] = [];
  const user = async (): Promise<void> => {
    while (!isOver || ids.length < 300) {
      const correlationId = randomUUID();
      const payment = JSON.stringify({ correlationId, amount: 19.9 });
      const { status } = await fetch(`${stack.url}/payments`, { method: 'POST', body: payment });
      assert.equal(status, 202);
      ids.push(correlationId);
    }
  };
  await Promise.all(Array.from({ length: 4 }, user));
  await over;
  await assertSettled(stack, ids.length);
  for (const id of ids) assert.equal((await fetch(`${stack.url}/payments/${id}`)).status, 200, id);
  const metrics = await (await fetch(`${stack.url}/metrics`)).text();
  assert.deepEqual(
    [...metrics.matchAll(/^soquete_instance_up\{instance="(.+?)".*\} (\d)$/gm)].map(([, ...each]) => each),
    BACKENDS.map(name => [name, '1']),
  );
  assert.doesNotMatch(stack.launcher.said(), /ended|fenced|died/);
}

const TAKEN =
  'soquete: INSTANCE backend-\\d is in use by another process on the store [^\n]+: end that one, [^\n]+\n';

test('a second stack on the same store ends with one line, and the first loses nothing', async () => {
  await using first = await startStack();
  const store = `sqlite:${join(first.folder, 'data')}`;
  await using second = await launchStack({ env: { STORE_URL: store } });
  await assertUndisturbed(
    first,
    until(() => second.launcher.hasExited(), 'the second stack to end'),
  );
  assert.equal(await second.launcher.exited, 78);
  assert.match(second.launcher.said(), new RegExp(`^(soquete: HAProxy is not [\\s\\S]*)?${TAKEN}$`));
  assert.deepEqual(second.pids(), []);
});

test('a backend whose name or socket is taken ends with one line, and disturbs nobody', async () => {
  await using stack = await startStack();
  await using children = new ChildProcesses();
  const taken = join(children.directory, 'taken.sock');
  const holder = createServer();
  await new Promise<void>(resolve => holder.listen(taken, resolve));
  const free = join(children.directory, 'free.sock');
  const options = { processors: { urls: stack.processorUrls }, storeDirectory: join(stack.folder, 'data') };
  const refused = async (name: string, listen: string, line: string, environment = {}): Promise<void> => {
    const backend = spawnBackend(children, name, `unix:${listen}`, { ...options, environment });
    await until(() => backend.hasExited(), `${name} to end`);
    assert.equal(await backend.exited, 78);
    assert.match(backend.said(), new RegExp(`^${line}$`));
    assert.ok(!existsSync(free));
  };
  const disturb = async (): Promise<void> => {
    await refused('backend-1', free, TAKEN);
    // As a launcher starts what it has started before.
    await refused('backend-2', free, TAKEN, { SOQUETE_STORE_EXISTS: '1' });
    for (const name of ['backend-1', 'backend-4']) {
      const line = name === 'backend-1' ? TAKEN : `soquete: LISTEN=unix:${taken} cannot be used [^\n]+\n`;
      await refused(name, taken, line);
    }
  };
  try {
    await assertUndisturbed(stack, disturb());
    assert.ok(await accepts({ socketPath: taken }), 'the socket of a living process stays');
  } finally {
    holder.close();
  }
});

test('a stack that was ready starts a backend whose name was taken until it has it again', async () => {
  await using stack = await startStack();
  const directory = join(stack.folder, 'data');
  let name: HeldName | undefined;
  await until(
    () => {
      // Once more, where it has started again before its name could be taken.
      stack.signal('SIGKILL', 'backend-2');
      try {
        name = takeName(directory, 'backend-2');
      } catch (error) {
        assert.ok(error instanceof NameTakenError, String(error));
      }
      return name !== undefined;
    },
    'the name to be free',
    undefined,
    1,
  );
  await until(() => /backend-2: soquete: .* is in use/.test(stack.launcher.said()), 'a refusal');
  assert.deepEqual(await pay(stack, 20), { 202: 20 });
  name!.release();
  await until(async () => {
    const metrics = await (await fetch(`${stack.url}/metrics`)).text();
    return metrics.includes('soquete_instance_up{instance="backend-2"} 1');
  }, 'backend-2 to be back');
  assert.deepEqual(await pay(stack, 20), { 202: 20 });
  await assertSettled(stack, 40);
});

test('a setting that a backend cannot use stops the stack with one line', async () => {
  await using stack = await launchStack({ env: { ACK_AFTER: 'never' } });
  assert.equal(await stack.launcher.exited, 78);
  assert.match(
    stack.launcher.said(),
    /^(soquete: HAProxy is not [\s\S]*)?soquete: ACK_AFTER=never [^\n]+\n$/,
  );
});

test('a setting that the launcher cannot use is one line', async () => {
  await using stack = await launchStack({ env: { PORT: '99999' } });
  await stack.launcher.exited;
  assert.equal(stack.launcher.said(), 'soquete: PORT takes a port from 1 to 65535, not "99999"\n');
});
