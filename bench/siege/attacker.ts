/**
 * The process of one attack: it keeps so many connections doing what the attack says, until its time is over.
 *
 *   node bench/siege/attacker.ts NAME PORT SECONDS ADDRESS
 *
 * Prints what it did as JSON. It is a process of its own, and a nice one, so that what it takes of this
 * machine is taken from nobody: an attacker brings his own machine.
 */

import { connect, type Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import { ATTACKS, type Attack } from './attacks.ts';

const [name = '', port, seconds, localAddress = '127.0.0.2'] = process.argv.slice(2);
const attack: Attack | undefined = ATTACKS[name];
if (attack === undefined) throw new Error(`no attack is called ${name}`);
const endAt = performance.now() + Number(seconds) * 1000;
/** So many are opened in 10 ms at most, or the attacker does nothing else. */
const OPENED_AT_ONCE = 100;

const done = { opened: 0, refused: 0, answers: 0, statuses: {} as Record<string, number> };
const live = new Set<Socket>();

setPriority(constants.priority.PRIORITY_LOW);
process.on('uncaughtException', error => {
  console.error(error);
  process.exit(1);
});

function open({ act, reads = true }: Attack): void {
  done.opened += 1;
  const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress, noDelay: true });
  live.add(socket);
  let answered = false;
  if (reads) {
    socket.on('data', bytes => {
      const text = bytes.toString('latin1', 0, Math.min(bytes.length, 16));
      if (!text.startsWith('HTTP/1.')) return;
      answered = true;
      done.answers += 1;
      const status = text.slice(9, 12);
      done.statuses[status] = (done.statuses[status] ?? 0) + 1;
    });
  } else socket.pause();
  socket.on('error', () => {});
  socket.on('close', () => {
    live.delete(socket);
    if (!answered) done.refused += 1;
  });
  socket.once('connect', () => act(socket));
}

function keepOpen(): void {
  const missing = attack!.connections - live.size;
  for (let more = 0; more < Math.min(missing, OPENED_AT_ONCE); more++) open(attack!);
}

keepOpen();
const timer = setInterval(() => {
  if (performance.now() < endAt) {
    keepOpen();
    return;
  }
  clearInterval(timer);
  console.log(JSON.stringify(done));
  process.exit(0);
}, 10);
