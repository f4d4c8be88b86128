/** Answers `GET /payments-summary` for all cells; the door (`haproxy/cells.cfg`) sends such requests here. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CellsMissing, QuestionRefused, summaryOfCells } from './summary.ts';

const PROBLEM = 'application/problem+json';

export interface CellsServer extends AsyncDisposable {
  readonly port: number;
}

/** `port` 0: any that is free. */
export async function serveCells(cells: readonly string[], host: string, port: number): Promise<CellsServer> {
  const server = createServer(async (request, response) => {
    const [path, query] = (request.url ?? '').split('?');
    if (path !== '/payments-summary')
      return send(response, 404, 'Not Found', 'only /payments-summary is here');
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return send(response, 405, 'Method Not Allowed', 'a summary is asked for with GET', {
        allow: 'GET, HEAD',
      });
    try {
      const text = await summaryOfCells(cells, query === undefined ? '' : `?${query}`);
      return response.writeHead(200, { 'content-type': 'application/json' }).end(text);
    } catch (error) {
      if (error instanceof QuestionRefused)
        return response.writeHead(error.status, { 'content-type': error.contentType }).end(error.message);
      if (!(error instanceof CellsMissing)) throw error;
      return send(response, 503, 'Service Unavailable', error.message, { 'retry-after': '1' });
    }
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function send(
  response: ServerResponse,
  status: number,
  title: string,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify({ type: 'about:blank', title, status, detail });
  response.writeHead(status, { ...headers, 'content-type': PROBLEM }).end(body);
}
