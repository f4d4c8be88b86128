/** The processes of one stack, by name, and what each has of memory: of all of it, and of V8's heap. */

import type { ProcessorPair } from '../../src/testing/backends.ts';
import type { RunningProcess } from '../../src/testing/processes.ts';
import { BACKENDS } from '../../src/testing/stack.ts';
import { askHeap } from '../tools/heap-probe.ts';
import { residentMiB, shareMiB } from '../tools/process-usage.ts';
import type { RunningSoquete } from '../tools/soquete.ts';

export const PROXY = 'HAProxy';
const SIMULATED = 'simulated processors';
/** What a deployment has to pay for: the processors are simulated. */
const SUM = 'HAProxy and three backends';
export const PROCESSES = [SUM, ...BACKENDS, PROXY, SIMULATED] as const;
export type ProcessName = (typeof PROCESSES)[number];

export interface Memory {
  readonly residentMiB: number;
  /** What it has to itself, and its share of what it shares. */
  readonly shareMiB: number;
  /** In use on V8's heap, garbage that was not collected yet included; NaN of what is not Node.js. */
  readonly heapMiB: number;
}

const MIB = 2 ** 20;

/** Of processes that were started with `HEAP_PROBE`; the proxy needs none. */
export async function memoryOf(
  { backends, proxy }: RunningSoquete,
  processors: ProcessorPair,
): Promise<Record<ProcessName, Memory>> {
  const node = async (child: RunningProcess): Promise<Memory> => ({
    residentMiB: residentMiB(child.pid),
    shareMiB: shareMiB(child.pid),
    heapMiB: (await askHeap(child)).usedBytes / MIB,
  });
  const [first, second, third, simulated] = await Promise.all([...backends, processors.child!].map(node));
  const each = {
    'backend-1': first!,
    'backend-2': second!,
    'backend-3': third!,
    HAProxy: {
      residentMiB: residentMiB(proxy!.pid),
      shareMiB: shareMiB(proxy!.pid),
      heapMiB: Number.NaN,
    },
  };
  const ours = [first!, second!, third!];
  const together = {
    residentMiB: Object.values(each).reduce((sum, memory) => sum + memory.residentMiB, 0),
    shareMiB: Object.values(each).reduce((sum, memory) => sum + memory.shareMiB, 0),
    heapMiB: ours.reduce((sum, memory) => sum + memory.heapMiB, 0),
  };
  return { [SUM]: together, ...each, [SIMULATED]: simulated! };
}
