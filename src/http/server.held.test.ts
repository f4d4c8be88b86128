/** A server that listens before it serves. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { FakePayments } from '../testing/http.ts';
import { send } from '../testing/raw-client.ts';
import { until } from '../testing/until.ts';
import { NO_OBSERVER } from './instrumentation.ts';
import { requestTimeoutMs } from './limits.ts';
import { commitOf, routes } from './routes.ts';
import { type ListenAddress, Server, type ServerOptions } from './server.ts';

const directory = mkdtempSync(join(tmpdir(), 'soquete-held-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const body = '{"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":19.90}';
const pay = `POST /payments HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const health = 'GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

const WAYS: [name: string, way: Pick<ServerOptions, 'probe'>][] = [
  ['directly', {}],
  ['the documented way', { probe: () => Promise.reject(new Error('not as expected')) }],
];

interface Stand {
  readonly server: Server;
  readonly payments: FakePayments;
  readonly bound: ListenAddress;
}

async function hold(
  context: TestContext,
  options: Partial<ServerOptions> = {},
  address: ListenAddress = { path: join(directory, `${Math.random()}.sock`) },
): Promise<Stand> {
  const payments = new FakePayments();
  const handler = routes({ payments, allowPurge: false });
  const server = new Server({ handler, commit: commitOf(payments), ...options });
  context.after(() => server.close(0));
  return { server, payments, bound: await server.listen(address, { isHeld: true }) };
}

/** A connection that the server has taken. */
async function connected(to: ListenAddress): Promise<Socket> {
  const socket = connect({ ...to, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket.on('error', () => {});
}

const answered = (to: ListenAddress, request: string): Promise<string> =>
  send('path' in to ? to.path : to.port, [request]);

for (const [name, way] of WAYS) {
  for (const [kind, address] of [
    ['a Unix socket', undefined],
    ['TCP', { host: '127.0.0.1', port: 0 }],
  ] as const) {
    test(`who comes to ${kind} before the server opens is answered once it does (${name})`, async context => {
      let opened = 0;
      const observer = { ...NO_OBSERVER, opened: () => opened++ };
      const { server, payments, bound } = await hold(context, { ...way, observer }, address);
      const early = [answered(bound, pay), answered(bound, health)];
      const silent = await connected(bound);
      // Time to read what there is.
      await new Promise(resolve => setTimeout(resolve, 20));
      assert.equal(payments.known.size, 0);
      assert.equal(opened, 0);
      server.open();
      const [paid, well] = await Promise.all(early);
      assert.match(paid!, /^HTTP\/1\.1 202 /);
      assert.match(well!, /^HTTP\/1\.1 200 /);
      assert.match(await answered(bound, health), /^HTTP\/1\.1 200 /);
      silent.write(health);
      assert.match(String(await once(silent, 'data')), /^HTTP\/1\.1 200 /);
      silent.destroy();
      await until(() => server.connections === 0, 'all connections to be gone');
    });
  }

  test(`a request is not late because it was held (${name})`, async context => {
    let nowMs = 0;
    const clock = { now: () => nowMs, wallMs: () => 0 };
    const { server, bound } = await hold(context, { ...way, clock });
    const early = answered(bound, health);
    (await connected(bound)).destroy();
    nowMs = 2 * requestTimeoutMs;
    server.open();
    assert.match(await early, /^HTTP\/1\.1 200 /);
  });

  test(`what a client sent before it went is taken (${name})`, async context => {
    const { server, payments, bound } = await hold(context, way);
    const gone = await connected(bound);
    gone.end(pay);
    gone.destroySoon();
    await once(gone, 'close');
    server.open();
    await until(() => payments.known.size === 1, 'the payment');
  });

  test(`closing before it opens lets go of all who wait (${name})`, async context => {
    const { server, payments, bound } = await hold(context, way);
    const waiting = await Promise.all([connected(bound), connected(bound), connected(bound)]);
    for (const socket of waiting) socket.write(pay);
    // By an end or, with what was not read, by a reset.
    const ended = waiting.map(socket => new Promise(gone => socket.resume().once('close', gone)));
    for (const socket of waiting) socket.on('end', () => socket.end());
    await server.close(60_000);
    server.open();
    await Promise.all(ended);
    assert.equal(payments.known.size, 0);
    assert.ok('path' in bound && !existsSync(bound.path));
  });
}

test('no more connections are held than are served', async context => {
  const { server, bound } = await hold(context, { connectionsMax: 2 });
  const waiting = [await connected(bound), await connected(bound)];
  const third = await connected(bound);
  await once(third.resume(), 'end');
  server.open();
  for (const socket of waiting) {
    socket.write(health);
    assert.match(String(await once(socket, 'data')), /^HTTP\/1\.1 200 /);
  }
});

test('a server that is held shares its port with one that serves', async context => {
  const reusePort = { reusePort: true };
  const { server, bound } = await hold(context, reusePort, { host: '127.0.0.1', port: 0 });
  const { server: other } = await hold(context, reusePort, bound);
  other.open();
  const asked = Array.from({ length: 40 }, () => answered(bound, health));
  const first = await Promise.any(asked);
  assert.match(first, /^HTTP\/1\.1 200 /);
  server.open();
  for (const answer of await Promise.all(asked)) assert.match(answer, /^HTTP\/1\.1 200 /);
});
