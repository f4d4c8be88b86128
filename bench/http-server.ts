/**
 * One server for `suite/http-ceiling.ts`.
 *
 *   node bench/http-server.ts soquete|counting|raw|node:http|fastify ADDRESS
 *
 * ADDRESS is a port, or the path of a Unix socket.
 */
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { emptyTotal } from '../src/domain/money.ts';
import { routes } from '../src/http/routes.ts';
import { Server } from '../src/http/server.ts';
import { ACCEPTED, type Payments } from '../src/payments/api.ts';
import { Counters } from '../src/telemetry/counters.ts';

const [kind, address = ''] = process.argv.slice(2);
const place = /^\d+$/.test(address) ? { host: '127.0.0.1', port: Number(address) } : { path: address };

/** A sum of what was given, so that nothing can be left out. */
let sum = 0;
const take = (correlationId: string, amount: number): void => {
  sum = (sum + Math.round(amount * 100) + correlationId.length) | 0;
};

const payments: Payments = {
  accept(id, cents) {
    sum = (sum + cents + id[3]!) | 0;
    return ACCEPTED;
  },
  waitSeconds: 1,
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
      take(correlationId, amount);
      response.writeHead(202, { 'Content-Length': 0 }).end();
    });
  }).listen(place);
}

/**
 * What a person would write with a framework that is known to be fast: the body is checked against a schema.
 */
async function fastifyServer(): Promise<void> {
  // Here, so that the others are measured without it.
  const { default: fastify } = await import('fastify');
  const server = fastify();
  const body = {
    type: 'object',
    required: ['correlationId', 'amount'],
    properties: { correlationId: { type: 'string', format: 'uuid' }, amount: { type: 'number' } },
  } as const;
  server.post<{ Body: { correlationId: string; amount: number } }>(
    '/payments',
    { schema: { body } },
    (request, reply) => {
      const { correlationId, amount } = request.body;
      take(correlationId, amount);
      reply.code(202).send();
    },
  );
  await server.listen(place);
}

if (kind === 'raw') raw();
else if (kind === 'node:http') nodeHttp();
else if (kind === 'fastify') await fastifyServer();
else
  await new Server({
    handler: routes({ payments, allowPurge: false }),
    commit: () => true,
    ...(kind === 'counting' ? { observer: new Counters() } : {}),
  }).listen(place);
