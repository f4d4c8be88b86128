/**
 * Servers that do less than a payment needs: what remains of their speed is the price of the rest.
 *
 *   node bench/suite/constant.ts raw /path.sock        answers 202 to every chunk, unread
 *   node bench/suite/constant.ts node:http /path.sock  what a person would write: node:http and JSON.parse
 */
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';

const [kind, path] = process.argv.slice(2);
const ACCEPTED = 'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n';

const raw = createServer(socket => {
  socket.on('data', () => socket.write(ACCEPTED, 'latin1'));
  socket.on('error', () => socket.destroy());
});

const accepted = new Map<string, number>();
const http = createHttpServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { correlationId, amount } = JSON.parse(Buffer.concat(chunks).toString());
    accepted.set(correlationId, amount);
    response.writeHead(202, { 'Content-Length': 0 }).end();
  });
});

(kind === 'raw' ? raw : http).listen(path, () => console.log('ready'));
