import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../../testing/until.ts';
import { Order } from './order.ts';
import { PROCESSES_SEGMENT, PROCESSES_STORE } from './processes.fixture.ts';
import { LogReader } from './reader.ts';
import { realLogFiles } from './real-log-files.ts';
import { encodeSegmentHeader, logSegmentName, positionOf, SEGMENT_HEADER_BYTES } from './segments.ts';
import { ROW_CENTS } from './tail-table.ts';

/** An eighth of a segment: so much is left for those that live. */
const KILLED_AFTER_BYTES = PROCESSES_SEGMENT / 8;

test('three processes append to one file, some are killed, and all were told the same', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-processes-'));
  try {
    realLogFiles.createWhole(join(directory, logSegmentName(1)), encodeSegmentHeader(PROCESSES_STORE, 1, 1));
    const script = join(import.meta.dirname, 'processes.fixture.ts');
    const start = async (name: string): Promise<ChildProcess> => {
      const child = fork(script, [directory, name]);
      assert.equal(await said(child), 'ready');
      return child;
    };
    const children = await Promise.all(['a', 'b', 'c'].map(start));
    const names = (): string[] => readdirSync(directory);
    const written = (): number =>
      names().reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
    for (let kill = 0; kill < 4; kill++) {
      const before = written();
      await until(() => written() > before + KILLED_AFTER_BYTES, 'the log to grow');
      children[2]!.kill('SIGKILL');
      await once(children[2]!, 'exit');
      children[2] = await start('c');
    }
    await until(() => names().length > 1, `a seal of ${PROCESSES_SEGMENT} bytes`);
    const answers = children.map(said);
    for (const child of children) child.send('end');
    const told = (await Promise.all(answers)) as Told[];

    const order = new Order(PROCESSES_STORE.mark);
    const reader = new LogReader({
      files: realLogFiles,
      directory,
      id: PROCESSES_STORE,
      order,
      position: positionOf(1, SEGMENT_HEADER_BYTES),
      events: {
        // Only what was killed leaves anything that is not whole, and that is cut short.
        gap: (_segment, gap) => assert.equal(gap.is, 'torn'),
        left: fd => realLogFiles.close(fd),
      },
    });
    reader.poll();
    reader.close();
    assert.deepEqual(
      told.map(({ epoch }) => order.members.living(epoch)?.name),
      ['a', 'b', 'c'],
    );
    let count = 0;
    for (const { accepted } of told) {
      for (const [id, cents] of accepted) {
        const start = order.tail.find(Int32Array.of(id, 0, 0, 0), 0);
        assert.ok(start >= 0, `${id} is lost`);
        assert.equal(order.tail.rows[start + ROW_CENTS], cents, `two amounts of ${id} were accepted`);
        count += 1;
      }
    }
    assert.ok(count > 1000);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/** Its next message; rejects when it ends instead. */
function said(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (status, signal) => reject(new Error(`it ended: ${status ?? signal}`)));
  });
}

interface Told {
  readonly accepted: readonly [id: number, cents: number][];
  readonly epoch: number;
}
