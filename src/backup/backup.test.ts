/** On the real programs: what a backup that is made under load, and restored later, does to the books. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'undici';
import { AdminClient } from '../processor-simulator/admin-client.ts';
import { simulatedProcessors, startBackends } from '../testing/backends.ts';
import { ChildProcesses } from '../testing/processes.ts';
import { until } from '../testing/until.ts';

/** So many at least before the backup begins and after it ended; while it is made as many as go. */
const BEFORE = 50;
const AFTER = 100;
const DURING_MAX = 5000;
const MAIN = join(import.meta.dirname, 'main.ts');

async function run(children: ChildProcesses, args: readonly string[], directory: string) {
  const child = children.spawn('backup', process.execPath, [MAIN, ...args], {
    STORE_URL: `sqlite:${directory}`,
  });
  return { status: await child.exited, said: child.said().trim() };
}

interface Sums {
  readonly default: { readonly totalRequests: number; readonly totalAmount: number };
  readonly fallback: { readonly totalRequests: number; readonly totalAmount: number };
}

/** Two backends on a store. */
class Deployment {
  readonly #clients: readonly Client[];
  #turn = 0;

  constructor(children: ChildProcesses) {
    this.#clients = ['backend-1', 'backend-2'].map(
      name => new Client('http://localhost', { socketPath: join(children.directory, `${name}.sock`) }),
    );
  }

  async pay(correlationId: string): Promise<void> {
    const client = this.#clients[this.#turn++ % 2]!;
    const body = JSON.stringify({ correlationId, amount: 19.9 });
    const answer = await client.request({ method: 'POST', path: '/payments', body });
    await answer.body.dump();
    assert.equal(answer.statusCode, 202);
  }

  async sums(): Promise<Sums> {
    const { body } = await this.#clients[0]!.request({ method: 'GET', path: '/payments-summary' });
    return (await body.json()) as Sums;
  }

  async settled(): Promise<number> {
    const sums = await this.sums();
    return sums.default.totalRequests + sums.fallback.totalRequests;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.destroy();
  }
}

test('a backup under load, settled on since, restored, and all sent again: books equal, nothing doubled', async () => {
  await using children = new ChildProcesses();
  const processors = await simulatedProcessors(children);
  await using byDefault = new AdminClient(processors.urls[0]);
  await using byFallback = new AdminClient(processors.urls[1]);
  const environment = { DEFAULT_ATTEMPTS: '1', FALLBACK_AFTER_MS: '0' };
  const [first, second] = [join(children.directory, 'first'), join(children.directory, 'second')];
  const file = join(children.directory, 'backup.tar');
  const options = { processors, count: 2, environment };
  const ids: string[] = [];

  const old = await startBackends(children, { ...options, storeDirectory: first });
  const deployment = new Deployment(children);
  const payNew = async (): Promise<void> => {
    const id = randomUUID();
    ids.push(id);
    await deployment.pay(id);
  };
  for (let count = 0; count < BEFORE; count++) await payNew();
  let isMade = false;
  const backup = run(children, ['backup', file], first).finally(() => {
    isMade = true;
  });
  while (!isMade && ids.length < DURING_MAX) await payNew();
  const { status, said } = await backup;
  assert.deepEqual([status, /verified$/.test(said)], [0, true], said);
  // From here on the backup knows nothing.
  await byDefault.set('failure', { failure: true });
  for (let count = 0; count < AFTER; count++) await payNew();
  await until(async () => (await deployment.settled()) === ids.length, 'all to be settled');
  assert.ok((await deployment.sums()).fallback.totalRequests >= AFTER / 2, 'fallback has what came last');
  for (const { child } of old) process.kill(child.pid, 'SIGKILL');
  await Promise.all(old.map(({ child }) => child.exited));
  await deployment.close();
  await byDefault.set('failure', { failure: false });

  const restored = await run(children, ['restore', file], second);
  assert.equal(restored.status, 0, restored.said);
  await startBackends(children, { ...options, storeDirectory: second });
  const again = new Deployment(children);
  for (const id of ids) await again.pay(id);
  await until(async () => (await again.settled()) === ids.length, 'all to be settled again');
  const [sums, inDefault, inFallback] = [
    await again.sums(),
    await byDefault.summary(),
    await byFallback.summary(),
  ];
  assert.equal(inDefault.count + inFallback.count, ids.length, 'something is settled twice');
  assert.deepEqual(
    [sums.default.totalRequests, sums.fallback.totalRequests],
    [inDefault.count, inFallback.count],
  );
  await again.close();
});

test('a backup is refused where a file is, and a restore where anything is or the file is not whole', async () => {
  await using children = new ChildProcesses();
  const { directory } = children;
  const [store, target, file] = [join(directory, 'a'), join(directory, 'b'), join(directory, 'backup.tar')];
  const [nothing] = await Promise.all([run(children, ['backup', file], store)]);
  assert.deepEqual(nothing, { status: 1, said: `backup: STORE_URL: there is no store in ${store}` });

  const processors = { urls: ['http://127.0.0.1:1', 'http://127.0.0.1:1'] as const };
  const [backend] = await startBackends(children, { processors, count: 1, storeDirectory: store });
  const made = await run(children, ['backup', file], store);
  assert.equal(made.status, 0, made.said);
  const before = readFileSync(file);
  assert.deepEqual(await run(children, ['backup', file], store), {
    status: 1,
    said: `backup: ${file} is there already: name another file`,
  });
  assert.deepEqual(readFileSync(file), before);
  assert.deepEqual(
    readdirSync(directory).filter(name => name.startsWith('backup.tar.')),
    [],
  );
  process.kill(backend!.child.pid, 'SIGTERM');
  await backend!.child.exited;

  const damaged = join(directory, 'damaged.tar');
  copyFileSync(file, damaged);
  const bytes = readFileSync(damaged);
  bytes[bytes.indexOf('SQLite format 3') + 300]! ^= 1;
  writeFileSync(damaged, bytes);
  const refused = await run(children, ['restore', damaged], target);
  assert.deepEqual(
    [refused.status, /no whole backup of soquete/.test(refused.said)],
    [1, true],
    refused.said,
  );
  writeFileSync(damaged, before.subarray(0, before.length - 2000));
  assert.equal((await run(children, ['restore', damaged], target)).status, 1);
  assert.equal(existsSync(target), false, 'nothing was changed');
  mkdirSync(target);
  writeFileSync(join(target, 'x'), '');
  const full = await run(children, ['restore', file], target);
  assert.deepEqual(
    [full.status, full.said.includes('is not empty (x)'), readdirSync(target)],
    [1, true, ['x']],
    full.said,
  );
});
