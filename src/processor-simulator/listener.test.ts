import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Pool } from 'undici';
import { DEFAULT } from '../domain/payment.ts';
import type { Faults } from './faults.ts';
import { type ProcessorServer, serveProcessor } from './listener.ts';

const AT = '2026-07-10T12:34:56.000Z';
const id = (number: number): string => `4a7901b8-7d26-4d9d-aa19-${String(number).padStart(12, '0')}`;
const payment = (number: number): string =>
  JSON.stringify({ correlationId: id(number), amount: 19.9, requestedAt: AT });

interface Said {
  status: number;
  headers: Record<string, unknown>;
  text: string;
}

/** A processor on a free port, and a client of it; both end with the test. */
async function setUp(t: TestContext) {
  const server = await serveProcessor(DEFAULT, 0);
  const pool = new Pool(server.url, { connections: 8, pipelining: 1 });
  t.after(async () => {
    await pool.destroy();
    await server.close();
  });
  const ask = async (method: 'GET' | 'POST' | 'PUT', path: string, body?: string): Promise<Said> => {
    const headers = { 'content-type': 'application/json', 'x-rinha-token': '123' };
    const answer = await pool.request({ method, path, headers, body: body ?? null });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  };
  const pay = (number: number): Promise<Said> => ask('POST', '/payments', payment(number));
  const faults = (some: Partial<Faults>): Promise<Said> =>
    ask('PUT', '/admin/configurations/faults', JSON.stringify(some));
  return { server, ask, pay, faults };
}

/** Everything that comes back for `text`, until the server ends the connection; how it ended. */
function converse(server: ProcessorServer, text: string): Promise<{ received: string; ended: string }> {
  return new Promise(resolve => {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(text));
    let received = '';
    let ended = 'closed';
    socket.setEncoding('latin1');
    socket.on('data', data => {
      received += data;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      ended = error.code ?? error.message;
    });
    socket.on('close', () => resolve({ received, ended }));
  });
}

const post = (number: number, version = '1.1', fields = ''): string =>
  `POST /payments HTTP/${version}\r\nHost: x\r\n${fields}Content-Type: application/json\r\n` +
  `Content-Length: ${payment(number).length}\r\n\r\n${payment(number)}`;

test('payments go in over kept-alive connections and are counted', async t => {
  const { server, ask, pay } = await setUp(t);
  const statuses = await Promise.all(
    Array.from({ length: 500 }, async (_, number) => (await pay(number)).status),
  );
  assert.ok(statuses.every(status => status === 200));
  assert.equal((await pay(3)).status, 422);
  assert.equal(server.processor.book.size, 500);
  const summary = JSON.parse((await ask('GET', '/admin/payments-summary')).text);
  assert.deepEqual(summary, {
    totalRequests: 500,
    totalAmount: 9950,
    totalFee: 497.5,
    feePerTransaction: 0.05,
  });
});

test('JSON answers are chunked, but not to a client of HTTP/1.0', async t => {
  const { server, pay } = await setUp(t);
  const { headers } = await pay(1);
  assert.equal(headers['transfer-encoding'], 'chunked');
  assert.match(String(headers['content-type']), /^application\/json/);
  const { received } = await converse(server, post(2, '1.0'));
  assert.match(received, /^HTTP\/1.1 200 OK\r\n/);
  assert.doesNotMatch(received, /chunked/i);
});

test('answers to pipelined requests come in order, also behind a delayed one', async t => {
  const { server } = await setUp(t);
  server.processor.delayMs = 20;
  const { received } = await converse(
    server,
    `${post(1)}${post(1)}GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  );
  assert.deepEqual(
    [...received.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status),
    ['200', '422', '404'],
  );
});

test('a caller that leaves during the delay does not stop the payment', async t => {
  const { server } = await setUp(t);
  const { processor } = server;
  processor.delayMs = 30;
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(post(1)));
  while (processor.atWork === 0) await new Promise(setImmediate);
  socket.resetAndDestroy();
  while (processor.atWork > 0) await new Promise(setImmediate);
  assert.equal(processor.book.size, 1);
});

test('a refusal for being asked too often says when to come again', async t => {
  const { ask } = await setUp(t);
  const first = ask('GET', '/payments/service-health');
  assert.equal((await first).status, 200);
  void ask('GET', '/payments/service-health').catch(() => undefined); // these two wait for windows to come
  void ask('GET', '/payments/service-health').catch(() => undefined);
  const { status, headers } = await ask('GET', '/payments/service-health');
  assert.equal(status, 429);
  assert.ok(Number(headers['retry-after']) > 0);
});

test('what is broken looks broken on the wire', async t => {
  const { server, faults } = await setUp(t);
  const seen = async (name: keyof Faults, number: number): Promise<{ received: string; ended: string }> => {
    await faults({ [name]: 1 });
    return converse(server, post(number, '1.1', 'Connection: close\r\n'));
  };
  assert.deepEqual(await seen('answerLost', 1), { received: '', ended: 'closed' });
  assert.deepEqual(await seen('resetAfter', 2), { received: '', ended: 'ECONNRESET' });
  assert.deepEqual(await seen('resetBefore', 3), { received: '', ended: 'ECONNRESET' });
  const garbage = await seen('garbage', 4);
  assert.doesNotMatch(garbage.received, /HTTP/);
  assert.notEqual(garbage.received, '');
  const cut = await seen('truncated', 5);
  assert.match(cut.received, /^HTTP\/1.1 200 OK\r\n/);
  const [head, body] = cut.received.split('\r\n\r\n');
  assert.ok(body!.length > 0 && body!.length < Number(/Content-Length: (\d+)/.exec(head!)![1]));
  const informed = await seen('informational', 6);
  assert.match(informed.received, /^HTTP\/1.1 102 Processing\r\n\r\nHTTP\/1.1 200 OK\r\n/);
  const { book } = server.processor;
  const recorded = Array.from({ length: book.size }, (_, row) =>
    Number(book.entry(row).correlationId.slice(-12)),
  );
  assert.deepEqual(recorded, [1, 2, 5, 6]);
});

test('one that hangs neither answers nor ends the connection', async t => {
  const { server, faults } = await setUp(t);
  await faults({ hangRecorded: 1 });
  let heard = '';
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(post(1)));
  socket.on('data', data => {
    heard += data;
  });
  socket.on('close', () => {
    heard += 'closed';
  });
  while (server.processor.book.size === 0) await new Promise(setImmediate);
  await faults({}); // a whole exchange later
  assert.equal(heard, '');
  socket.destroy();
});

test('one that refuses resets what stands, takes no connection, and is back afterwards', async t => {
  const { server, faults, pay } = await setUp(t);
  const standing = converse(server, '');
  await pay(1);
  assert.equal((await faults({ refuseMs: 100 })).status, 200);
  assert.equal((await standing).ended, 'ECONNRESET');
  let back = 'ECONNREFUSED';
  while (back === 'ECONNREFUSED') ({ ended: back } = await converse(server, post(2, '1.0')));
  assert.equal(back, 'closed');
  assert.equal((await pay(2)).status, 422);
  // For so long that no machine is too slow to see it.
  assert.equal((await faults({ refuseMs: 600_000 })).status, 200);
  assert.equal((await converse(server, post(3))).ended, 'ECONNREFUSED', 'and it can refuse again');
});
