/** A real disk that is full, or that payments fill, a small file system in memory: needs root to mount it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Client } from 'undici';
import { AdminClient } from '../processor-simulator/admin-client.ts';
import { simulatedProcessors, startBackends } from '../testing/backends.ts';
import { ChildProcesses } from '../testing/processes.ts';
import { until } from '../testing/until.ts';

const isRoot = process.getuid?.() === 0;
const PAYMENTS = 5;
/** What payments may fill. */
const ROOM = 12 * 1024 * 1024;
const AT_ONCE = 200;

/** Mounts a file system of 48 MiB; false: that is not allowed here. */
function mount(directory: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', directory], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Takes all the room that there is. */
function fill(path: string): void {
  const fd = openSync(path, 'w');
  for (let bytes = 1024 * 1024; bytes >= 1; ) {
    try {
      if (writeSync(fd, Buffer.alloc(bytes)) < bytes) bytes = Math.floor(bytes / 2);
    } catch {
      bytes = Math.floor(bytes / 2);
    }
  }
  closeSync(fd);
}

/** Mounts a small disk for `act`, where that is allowed. */
async function withDisk(t: TestContext, act: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-small-'));
  if (!mount(directory)) {
    rmSync(directory, { recursive: true });
    t.skip('mounting is not allowed here');
    return;
  }
  try {
    await act(directory);
  } finally {
    // Lazily: a backend may still be there.
    execFileSync('umount', ['-l', directory], { stdio: 'ignore' });
    rmSync(directory, { recursive: true });
  }
}

/** Backends on that disk, their processors, and a client of each. */
class Scene {
  readonly children = new ChildProcesses();
  readonly admins: AdminClient[] = [];
  readonly #clients: Client[] = [];
  readonly #pids: number[] = [];
  #turn = 0;

  async start(storeDirectory: string, count: number): Promise<void> {
    const processors = await simulatedProcessors(this.children);
    this.admins.push(...processors.urls.map(url => new AdminClient(url)));
    for (const { child } of await startBackends(this.children, { processors, count, storeDirectory })) {
      this.#pids.push(child.pid);
      const socketPath = join(this.children.directory, `${child.name}.sock`);
      this.#clients.push(new Client('http://localhost', { socketPath, pipelining: AT_ONCE }));
    }
  }

  /** A client of each backend in its turn. */
  get client(): Client {
    return this.#clients[this.#turn++ % this.#clients.length]!;
  }

  async pay(): Promise<{ status: number; retryAfter: string }> {
    const body = JSON.stringify({ correlationId: randomUUID(), amount: 19.9 });
    // As one with the same id may be sent again, requests need not wait for each other.
    const answer = await this.client.request({ method: 'POST', path: '/payments', body, idempotent: true });
    await answer.body.dump();
    return { status: answer.statusCode, retryAfter: String(answer.headers['retry-after']) };
  }

  async settled(): Promise<{ count: number; cents: number }> {
    const { statusCode, body } = await this.client.request({ method: 'GET', path: '/payments-summary' });
    assert.equal(statusCode, 200);
    const summary = (await body.json()) as Record<string, { totalRequests: number; totalAmount: number }>;
    const sides = Object.values(summary);
    return {
      count: sides.reduce((sum, { totalRequests }) => sum + totalRequests, 0),
      cents: sides.reduce((sum, { totalAmount }) => sum + Math.round(totalAmount * 100), 0),
    };
  }

  /** What the processors have. */
  async recorded(): Promise<number> {
    const books = await Promise.all(this.admins.map(admin => admin.summary()));
    return books.reduce((sum, { count }) => sum + count, 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map(client => client.close()));
    for (const pid of this.#pids) process.kill(pid, 'SIGTERM');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.admins.map(admin => admin[Symbol.asyncDispose]()));
    await this.children[Symbol.asyncDispose]();
  }
}

const skip = isRoot ? false : 'mounting needs root';

test(
  'a full disk refuses payments and holds up no summary; what was accepted is settled once there is room',
  { skip },
  t =>
    withDisk(t, async store => {
      await using scene = new Scene();
      // What cannot be written is in the summary of the backend that settled it alone.
      await scene.start(store, 1);
      const byDefault = scene.admins[0]!;
      // They are at the processor while the disk fills.
      await byDefault.set('delay', { delay: 4000 });
      for (let count = 0; count < PAYMENTS; count++) assert.equal((await scene.pay()).status, 202);
      await until(
        async () => ((await byDefault.settings()) as { atWork?: number }).atWork === PAYMENTS,
        'all to be sent',
      );
      fill(join(store, 'filler'));
      await until(async () => (await byDefault.summary()).count === PAYMENTS, 'the processor to have all');
      await until(async () => (await scene.pay()).status === 503, 'a payment to be refused');
      const isSummed = async () => (await scene.settled()).count === PAYMENTS;
      await until(isSummed, 'what the processor has to be in the summary');
      rmSync(join(store, 'filler'));
      await until(async () => (await scene.pay()).status === 202, 'payments to be taken again');
      await until(async () => (await scene.settled()).count === PAYMENTS + 1, 'all to be settled');
      await scene.stop();
    }),
);

test(
  'payments that fill the disk are refused while there is room to settle and to book all of them',
  { skip },
  t =>
    withDisk(t, async store => {
      await using scene = new Scene();
      await scene.start(store, 3);
      const setFailing = (failure: boolean) =>
        Promise.all(scene.admins.map(admin => admin.set('failure', { failure })));
      await setFailing(true);
      // The rest is taken by something else, so that this does not take long.
      const { bavail, bsize } = statfsSync(store);
      writeFileSync(join(store, 'filler'), Buffer.alloc(bavail * bsize - ROOM));
      let accepted = 0;
      let refused = 0;
      let reason = '';
      // Each backend looks at the disk by itself: one may refuse when another has not looked again.
      while (refused === 0 || reason === '') {
        for (const { status, retryAfter } of await Promise.all(
          Array.from({ length: AT_ONCE }, () => scene.pay()),
        )) {
          if (status === 202) {
            accepted += 1;
            continue;
          }
          refused += 1;
          assert.equal(status, 503);
          assert.match(retryAfter, /^([1-9]|[1-5]\d|60)$/);
        }
        const health = await scene.client.request({ method: 'GET', path: '/health' });
        const text = await health.body.text();
        if (health.statusCode === 503) reason = text;
      }
      assert.ok(accepted > 1000, `${accepted} were accepted`);
      assert.match(reason, /the disk of the store has [\d.]+ MiB left, which are kept for settling/);

      await setFailing(false);
      await until(async () => (await scene.settled()).count === accepted, 'all to be settled');
      assert.equal((await scene.settled()).cents, accepted * 1990);
      assert.equal(await scene.recorded(), accepted);

      rmSync(join(store, 'filler'));
      await until(async () => (await scene.pay()).status === 202, 'payments to be taken again');
      await until(async () => (await scene.settled()).count === accepted + 1, 'that one to be settled');
      assert.equal(await scene.recorded(), accepted + 1);
      await scene.stop();
    }),
);
