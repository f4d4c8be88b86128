/** A real disk that is full, a small file system in memory: needs root to mount it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'undici';
import { AdminClient } from '../processor-simulator/admin-client.ts';
import { simulatedProcessors, startBackends } from '../testing/backends.ts';
import { ChildProcesses } from '../testing/processes.ts';
import { until } from '../testing/until.ts';

const isRoot = process.getuid?.() === 0;
const PAYMENTS = 5;

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

test('a full disk refuses payments and holds up no summary; what was accepted is settled once there is room', {
  skip: isRoot ? false : 'mounting needs root',
  timeout: 100_000,
}, async t => {
  await using children = new ChildProcesses();
  const store = mkdtempSync(join(tmpdir(), 'soquete-small-'));
  if (!mount(store)) {
    rmSync(store, { recursive: true });
    t.skip('mounting is not allowed here');
    return;
  }
  try {
    const processors = await simulatedProcessors(children);
    await using byDefault = new AdminClient(processors.urls[0]);
    const [backend] = await startBackends(children, { processors, count: 1, storeDirectory: store });
    const client = new Client('http://localhost', { socketPath: join(children.directory, 'backend-1.sock') });
    const pay = async (): Promise<number> => {
      const body = JSON.stringify({ correlationId: randomUUID(), amount: 19.9 });
      const answer = await client.request({ method: 'POST', path: '/payments', body });
      await answer.body.dump();
      return answer.statusCode;
    };
    const settled = async (): Promise<number> => {
      const { statusCode, body } = await client.request({ method: 'GET', path: '/payments-summary' });
      assert.equal(statusCode, 200);
      return ((await body.json()) as { default: { totalRequests: number } }).default.totalRequests;
    };
    const isRecorded = async (): Promise<boolean> => (await byDefault.summary()).count === PAYMENTS;

    // They are at the processor while the disk fills.
    await byDefault.set('delay', { delay: 4000 });
    for (let count = 0; count < PAYMENTS; count++) assert.equal(await pay(), 202);
    await until(
      async () => ((await byDefault.settings()) as { atWork?: number }).atWork === PAYMENTS,
      'all to be sent',
    );
    fill(join(store, 'filler'));
    await until(isRecorded, 'the processor to have all');
    await until(async () => (await pay()) === 503, 'a payment to be refused');
    assert.equal(await settled(), PAYMENTS, 'the processor has them, so the summary does');
    rmSync(join(store, 'filler'));
    await until(async () => (await pay()) === 202, 'payments to be taken again');
    await until(async () => (await settled()) === PAYMENTS + 1, 'all to be settled');
    await client.close();
    process.kill(backend!.child.pid, 'SIGTERM');
    await backend!.child.exited;
  } finally {
    // Lazily: a backend may still be there.
    execFileSync('umount', ['-l', store], { stdio: 'ignore' });
    rmSync(store, { recursive: true });
  }
});
