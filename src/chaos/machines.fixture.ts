/** A machine in namespaces of its own, until the process is ended: says where they are, and its folder. */
import { readlinkSync } from 'node:fs';
import { ChildProcesses } from '../testing/processes.ts';
import { inOwnNamespaces, Machine, startSwitches } from './machines.ts';

await inOwnNamespaces();
const children = new ChildProcesses();
startSwitches();
await Machine.start(children, 'one', 2, ['front']);
console.log(JSON.stringify({ namespace: readlinkSync('/proc/self/ns/pid'), folder: children.directory }));
setInterval(() => {}, 1000);
