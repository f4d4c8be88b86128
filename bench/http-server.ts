/**
 * One server for `bench/http-ceiling.ts`, which says at SIGUSR2 what it has used so far.
 *
 *   node bench/http-server.ts soquete|raw|node:http ADDRESS     a port, or the path of a Unix socket
 */
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { getHeapStatistics } from 'node:v8';
import { routes } from '../src/http/routes.ts';
import { Server } from '../src/http/server.ts';
import { emptyTotal } from '../src/payments/money.ts';
import { ACCEPTED, type Payments } from '../src/payments/payments.ts';

const [kind, address = ''] = process.argv.slice(2);
const place = /^\d+$/.test(address) ? { host: '127.0.0.1', port: Number(address) } : { path: address };

let requests = 0;

/** Takes every payment and keeps a sum of what it was given, so that nothing can be left out. */
let sum = 0;
const payments: Payments = {
  accept(id, cents) {
    requests++;
    sum = (sum + cents + id[3]!) | 0;
    return ACCEPTED;
  },
  commit: () => true,
  find: async () => undefined,
  summary: async () => ({ default: emptyTotal(), fallback: emptyTotal() }),
  purge: async () => {},
  readiness: () => ({ ready: true, reasons: [], instance: 'bench' }),
};

/** Answers every chunk with the same bytes, unread. */
function raw(): void {
  const date = new Date().toUTCString();
  const answer = `HTTP/1.1 202 Accepted\r\nDate: ${date}\r\nContent-Length: 0\r\n\r\n`;
  createServer({ noDelay: true }, socket => {
    socket.on('data', () => {
      requests++;
      socket.write(answer, 'latin1');
    });
    socket.on('error', () => {});
  }).listen(place);
}

/** What a person would write. */
function nodeHttp(): void {
  createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { correlationId, amount } = JSON.parse(Buffer.concat(chunks).toString()) as {
        correlationId: string;
        amount: number;
      };
      requests++;
      sum = (sum + Math.round(amount * 100) + correlationId.length) | 0;
      response.writeHead(202, { 'Content-Length': 0 }).end();
    });
  }).listen(place);
}

process.on('SIGUSR2', () => {
  const { user, system } = process.cpuUsage();
  // Of V8's heap; what sockets read into lies outside of it.
  const { total_allocated_bytes: allocated = 0 } = getHeapStatistics() as { total_allocated_bytes?: number };
  console.log(JSON.stringify({ requests, cpuUs: user + system, allocated, sum }));
});

if (kind === 'raw') raw();
else if (kind === 'node:http') nodeHttp();
else
  await new Server({ handler: routes({ payments, allowPurge: false }), commit: payments.commit }).listen(
    place,
  );
