/** The simulated payment processors behind TCP. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { realClock } from '../clock.ts';
import { DEFAULT, FALLBACK, type ProcessorIndex } from '../payments/payment.ts';
import type { Answer } from './answer.ts';
import { Processor } from './processor.ts';
import { handle } from './routes.ts';

export interface ProcessorServer {
  readonly processor: Processor;
  readonly url: string;
  close(): Promise<void>;
}

/** Serves one processor on `port` of `host` (port 0: any free one). */
export async function serveProcessor(
  which: ProcessorIndex,
  port: number,
  host: string,
): Promise<ProcessorServer> {
  const processor = new Processor(which, realClock);
  const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', text => {
      body += text;
    });
    request.on('end', () => {
      const { method = '', url: target = '', headers } = request;
      const contentType = headers['content-type'] ?? '';
      const token = String(headers['x-rinha-token'] ?? '');
      handle(processor, { method, target, contentType, token, body }, said =>
        deliver(said, request, response),
      );
    });
  });
  const listen = (at: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, host, 1024, () => {
        server.off('error', reject);
        resolve();
      });
    });
  await listen(port);
  const address = server.address() as AddressInfo;
  return {
    processor,
    url: `http://${host}:${address.port}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function deliver(said: Answer, request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  if (said.informed) response.writeProcessing();
  switch (said.delivery) {
    case 'whole': {
      const headers: Record<string, string | number> = {};
      if (said.retryAfterSeconds > 0) headers['Retry-After'] = said.retryAfterSeconds;
      if (said.body !== '') {
        headers['Content-Type'] = said.contentType ?? 'application/json; charset=utf-8';
        headers['Transfer-Encoding'] = 'chunked';
      } else headers['Content-Length'] = 0;
      response.writeHead(said.status, headers);
      response.end(said.body);
      break;
    }
    case 'cut':
      socket.end(
        `HTTP/1.1 ${said.status} \r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n${said.body}`,
      );
      break;
    case 'closed':
      socket.destroy();
      break;
    case 'reset':
      socket.resetAndDestroy();
      break;
    case 'garbage':
      socket.end('\0\x01 this is no answer');
      break;
    case 'never':
      break;
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      default: { type: 'string' },
      fallback: { type: 'string' },
      host: { type: 'string', default: process.env['HOST'] ?? '127.0.0.1' },
    },
  });
  const ports: [ProcessorIndex, string | undefined][] = [
    [DEFAULT, values.default],
    [FALLBACK, values.fallback],
  ];
  const ready: string[] = [];
  for (const [which, port] of ports) {
    if (port === undefined) continue;
    const { processor, url } = await serveProcessor(which, Number(port), values.host);
    ready.push(`${processor.name} on ${url}`);
  }
  console.log(`simulated processors ready: ${ready.join(', ')}`);
}
