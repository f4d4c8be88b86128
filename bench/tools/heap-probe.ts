/** Asks a process that was started with `HEAP_PROBE` what it has in V8's heap. */
import { type RunningProcess, untilReady } from '../../src/testing/processes.ts';

/** What a process says of V8's heap of its main thread, in bytes. */
export interface HeapFigures {
  readonly number: number;
  readonly usedBytes: number;
  /** Since its start, given back or not; 0 where Node.js does not say. */
  readonly allocatedBytes: number;
}

/**
 * Answers SIGUSR2 on standard error. As plain JavaScript, since what takes types away takes 20 MB of the
 * memory that is to be measured. The flag that loads this holds for threads too; signals come to the main
 * one.
 */
const ANSWERS_SIGNAL = `
  import { writeSync } from 'node:fs';
  import { getHeapStatistics } from 'node:v8';
  import { isMainThread } from 'node:worker_threads';
  let number = 0;
  if (isMainThread) process.on('SIGUSR2', () => {
    const { used_heap_size: usedBytes, total_allocated_bytes: allocatedBytes = 0 } = getHeapStatistics();
    number += 1;
    writeSync(2, 'HEAP' + JSON.stringify({ number, usedBytes, allocatedBytes }) + '\\n');
  });
`;

/** Options of Node.js for a process that is to be asked. */
export const HEAP_PROBE: readonly string[] = [
  '--import',
  `data:text/javascript,${encodeURIComponent(ANSWERS_SIGNAL)}`,
];

const answered = new WeakMap<RunningProcess, number>();

export async function askHeap(child: RunningProcess): Promise<HeapFigures> {
  const number = (answered.get(child) ?? 0) + 1;
  answered.set(child, number);
  process.kill(child.pid, 'SIGUSR2');
  await untilReady(child, () => answer(child, number) !== undefined);
  return answer(child, number)!;
}

function answer(child: RunningProcess, number: number): HeapFigures | undefined {
  const json = new RegExp(`^HEAP(\\{"number":${number},.*\\})$`, 'm').exec(child.said())?.[1];
  return json === undefined ? undefined : (JSON.parse(json) as HeapFigures);
}
