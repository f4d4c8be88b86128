/**
 * A process that appends to a real log until it is told to end, or killed: node processes.fixture.ts DIR NAME
 */
import { Order } from './order.ts';
import { realLogFiles } from './real-log-files.ts';
import { positionOf, SEGMENT_HEADER_BYTES, storeIdOf } from './segments.ts';
import { LogFault, LogWriter } from './writer.ts';

export const PROCESSES_STORE = storeIdOf(Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1));
/** A seal each few hundred milliseconds. */
export const PROCESSES_SEGMENT = 256 * 1024;
const IDS = 100_000;
const BATCH = 40;

function run(directory: string, name: string): void {
  const order = new Order(PROCESSES_STORE.mark);
  const writer = new LogWriter({
    files: realLogFiles,
    directory,
    id: PROCESSES_STORE,
    order,
    position: positionOf(1, SEGMENT_HEADER_BYTES),
    segmentBytes: PROCESSES_SEGMENT,
    events: { gap: () => {} },
  });
  writer.poll();
  writer.join(name, order.members.named(name)?.epoch ?? 0, process.pid);
  // Accepted with one of two amounts, from the same ids as the others do: what each was told, by id.
  const accepted: [id: number, cents: number][] = [];
  let isEnding = false;
  process.on('message', () => {
    isEnding = true;
  });
  const turn = (): void => {
    const ids = Array.from({ length: 1 + Math.floor(Math.random() * BATCH) }, () =>
      Math.floor(Math.random() * IDS),
    );
    const cents = 1 + Math.floor(Math.random() * 2);
    for (const id of ids) writer.batch().accept(Int32Array.of(id, 0, 0, 0), 0, writer.epoch, cents, 1);
    if (writer.append() instanceof LogFault) throw new Error('the log takes nothing');
    for (const [at, id] of ids.entries()) if (writer.results[at]! > -2) accepted.push([id, cents]);
    if (!isEnding) setTimeout(turn, 1);
    else {
      process.send?.({ accepted, epoch: writer.epoch }, () => process.disconnect?.());
    }
  };
  process.send?.('ready');
  turn();
}

const [, script, directory, name] = process.argv;
if (script === import.meta.filename) run(directory!, name!);
