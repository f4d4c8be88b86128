/**
 * The entry of the index's thread: it owns the connection that writes, so that no transaction and no
 * checkpoint ever holds up the event loop that accepts payments. Messages in, replies out, strictly in order.
 */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { RealArchiveFolder } from '../archive/archive-folder.ts';
import { Archiver } from '../archive/archiver.ts';
import { realLogFiles } from '../shared-log/real-log-files.ts';
import { Checkpoints } from './checkpoints.ts';
import { Inspector } from './inspect.ts';
import { LogIndex } from './log-index.ts';
import { indexFaultOf, openErrorOf, openIndexFile } from './schema.ts';
import type { IndexCall, IndexReply, IndexThreadOptions } from './thread-client.ts';

const port = parentPort!;
const options = workerData as IndexThreadOptions;
// Called in a thread, this is about the thread: accepting goes before indexing when both want the processor.
try {
  setPriority(0, options.priority ?? 5);
} catch {
  // Not allowed here: then they share.
}

function open() {
  let index: LogIndex | undefined;
  try {
    const database = openIndexFile(options);
    index = new LogIndex({ database, files: realLogFiles, directory: options.logDirectory });
    const archiver = new Archiver(database, new RealArchiveFolder(options.directory));
    const checkpoints = new Checkpoints(database, options.directory);
    const opened = index.open();
    sayDamage(index);
    port.postMessage({ is: 'open', opened } satisfies IndexReply);
    return { index, archiver, checkpoints };
  } catch (error) {
    if (index !== undefined) sayDamage(index);
    const { message } = openErrorOf(options.directory, error);
    port.postMessage({ is: 'refused', detail: message } satisfies IndexReply);
    return undefined;
  }
}

function sayDamage(index: LogIndex): void {
  const found = index.takeDamage();
  if (found !== undefined) port.postMessage({ is: 'damaged', found } satisfies IndexReply);
}

const opened = open();
let inspector: Inspector | undefined;

if (opened !== undefined) {
  const { index, archiver, checkpoints } = opened;
  const inspect = (): Inspector => {
    inspector ??= Inspector.of(options.directory);
    return inspector;
  };
  const carryOut = (call: IndexCall): unknown => {
    switch (call.name) {
      case 'advance':
        return index.advance();
      case 'sync':
        return checkpoints.sync(() => index.position);
      case 'unsettled':
        return index.unsettled(...call.values);
      case 'held':
        return index.held(...call.values);
      case 'pinnedTo':
        return index.pinnedTo(...call.values);
      case 'archive':
        return archiver.step(...call.values);
      case 'heldCounts':
        return inspect().heldCounts();
      case 'inspectHeld':
        return inspect().held(...call.values);
      case 'settled':
        return inspect().settled(...call.values);
      case 'latest':
        return inspect().latest(...call.values);
      case 'history':
        return inspect().history(...call.values);
      case 'close':
        inspector?.close();
        checkpoints.close();
        index.close();
        return true;
    }
  };
  port.on('message', (call: IndexCall) => {
    let reply: IndexReply;
    try {
      reply = { is: 'answer', value: carryOut(call) };
      if (call.name === 'advance') sayDamage(index);
    } catch (error) {
      const { reason, detail } = indexFaultOf(error);
      reply = { is: 'fault', reason, detail };
    }
    port.postMessage(reply);
    if (call.name === 'close') port.close();
    // After the reply: a checkpoint makes nothing wait that could have been answered before it.
    else if (call.name === 'advance' || call.name === 'archive') checkpoints.advanced();
  });
}
