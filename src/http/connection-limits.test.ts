import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { FakePayments } from '../testing/http.ts';
import { until } from '../testing/until.ts';
import { ConnectionLimits, firstByteTimeoutMs } from './connection-limits.ts';
import { routes } from './routes.ts';
import { Server } from './server.ts';

const GET = 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n';

async function listening(clock?: { now: () => number; wallMs: () => number }) {
  const limits = new ConnectionLimits(3, address => address === '127.0.0.9', Date.now);
  const handler = routes({ payments: new FakePayments(), allowPurge: false });
  const server = new Server({ handler, limits, ...(clock !== undefined && { clock }) });
  const { port } = (await server.listen({ host: '127.0.0.1', port: 0 })) as { port: number };
  const open = (localAddress: string): Client =>
    new Client(connect({ port, host: '127.0.0.1', localAddress }));
  return { open, [Symbol.asyncDispose]: () => server.close(0) };
}

class Client {
  output = '';
  isClosed = false;
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1').on('data', text => {
      this.output += text;
    });
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  async ask(): Promise<string> {
    this.output = '';
    this.socket.write(GET);
    await until(() => this.output.endsWith('}'), 'an answer');
    return this.output;
  }
}

test('a connection too many of one address gets 429; others and exempt ones are served', async () => {
  await using server = await listening();
  const clients = Array.from({ length: 3 }, () => server.open('127.0.0.2'));
  for (const client of clients) assert.match(await client.ask(), /^HTTP\/1\.1 200 /);
  const fourth = server.open('127.0.0.2');
  assert.match(
    await fourth.ask(),
    /^HTTP\/1\.1 429 [\s\S]*problem\+json\r\nRetry-After: 1\r\n[\s\S]*Connection: close\r\n/,
  );
  await until(() => fourth.isClosed, 'it to be closed');
  for (const client of clients) assert.match(await client.ask(), /^HTTP\/1\.1 200 /);
  assert.match(await server.open('127.0.0.3').ask(), /^HTTP\/1\.1 200 /);
  for (let more = 0; more < 5; more++) {
    assert.match(await server.open('127.0.0.9').ask(), /^HTTP\/1\.1 200 /);
  }
  clients[0]!.socket.destroy();
  await once(clients[0]!.socket, 'close');
  await until(async () => (await server.open('127.0.0.2').ask()).includes(' 200 '), 'a free place');
});

test('a connection that sends nothing is closed sooner than one that was used', async () => {
  const clock = { now: () => nowMs, wallMs: () => 0 };
  let nowMs = 0;
  await using server = await listening(clock);
  const [silent, used] = [server.open('127.0.0.2'), server.open('127.0.0.2')];
  assert.match(await used.ask(), / 200 /);
  await until(() => silent.socket.readyState === 'open', 'both to be there');
  nowMs = firstByteTimeoutMs + 1;
  await until(() => silent.isClosed, 'the silent one to be closed');
  assert.equal(silent.output, '');
  assert.match(await used.ask(), / 200 /);
});
