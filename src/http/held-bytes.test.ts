/** What clients that take nothing make a server hold, counted in bytes on real sockets. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { FakePayments } from '../testing/http.ts';
import { atRest, RecordingClient, waitFor } from '../testing/recording-client.ts';
import { Connection } from './connection.ts';
import {
  bodyBytesMax,
  heldBytesMax,
  heldBytesSpare,
  outputBytesMax,
  owedBytesMax,
  pipelineDepthMax,
} from './limits.ts';
import { sharedPage } from './page.ts';
import { Answer, json } from './response.ts';
import { commitOf, routes } from './routes.ts';
import { type ListenAddress, Server, type ServerOptions } from './server.ts';
import { staticPage } from './static-page.ts';

const directory = mkdtempSync(join(tmpdir(), 'soquete-held-'));
after(() => rmSync(directory, { recursive: true, force: true }));
let count = 0;

const PAGE_BYTES = 40_000;
const page = { status: 200, contentType: 'text/plain', body: 'x'.repeat(PAGE_BYTES) };
const KiB = 1024;

async function start(context: TestContext, options: ServerOptions) {
  const server = new Server(options);
  const bound = await server.listen({ path: join(directory, `${count++}.sock`) });
  context.after(() => server.close(0));
  return { server, bound };
}

const get = (path: string, method = 'GET'): string => `${method} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const body = '{"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":19.90}';
const pay = `POST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** A client that sends and reads nothing. */
function deaf(bound: ListenAddress, text: string): RecordingClient {
  const client = new RecordingClient(bound);
  client.socket.pause();
  return client.send(text);
}

for (const [name, way] of [
  ['directly', {}],
  ['the documented way', { probe: () => Promise.reject(new Error('not as expected')) }],
] as const) {
  test(`90 clients pipeline 256 pages each and read nothing: few bytes are held, a page is made once (${name})`, async context => {
    let made = 0;
    const pages = {
      '/metrics': sharedPage(
        async () => {
          made++;
          return page;
        },
        () => 0,
      ),
      '/': staticPage(() => page),
    };
    const payments = new FakePayments();
    const { server, bound } = await start(context, {
      ...way,
      handler: routes({ payments, allowPurge: false, pages }),
      commit: commitOf(payments),
      observer: { ...observer, failed: error => assert.fail(String(error)) },
    });
    const clients = Array.from({ length: 90 }, (_, at) =>
      deaf(bound, get(at % 2 === 0 ? '/metrics' : '/').repeat(pipelineDepthMax)),
    );
    await waitFor(() => server.connections === 90, 'all of them');
    await atRest(() => server.heldBytes);
    assert.equal(made, 1);
    assert.ok(
      server.heldBytes > 0 && server.heldBytes <= 90 * 256 * KiB,
      `${server.heldBytes} bytes are held`,
    );
    const other = new RecordingClient(bound).send(get('/health'));
    await other.until(/200 OK/);
    for (const { socket } of clients) socket.destroy();
    other.socket.destroy();
    await waitFor(() => server.connections === 0, 'nobody');
    assert.equal(server.heldBytes, 0);
  });
}

const observer = { opened() {}, closed() {}, answered() {}, refused() {}, failed() {}, degraded() {} };

test('600 pipelined HEADs of a page hold its head, and all are answered once they are read', async context => {
  const handler = routes({
    payments: new FakePayments(),
    allowPurge: false,
    pages: { '/': staticPage(() => page) },
  });
  const { server, bound } = await start(context, { handler });
  const client = deaf(bound, get('/', 'HEAD').repeat(600));
  await waitFor(() => server.connections === 1, 'the connection');
  await atRest(() => server.heldBytes);
  assert.ok(server.heldBytes <= 256 * KiB, `${server.heldBytes} bytes are held`);
  client.socket.resume();
  await waitFor(() => client.statuses().length === 600, 'all answers');
  assert.ok(!client.got.includes('xxx'));
});

test('no mixture of answers makes one connection hold more than 256 KiB', () => {
  const sizes = [0, 100, 3_000, 30_000, 90_000];
  const answers = sizes.map(
    size => new Answer(200, '', size > 5_000 ? Buffer.alloc(size) : 'x'.repeat(size)),
  );
  for (let mixture = 0; mixture < 200; mixture++) {
    let asked = 0;
    const turn = { batch: 1, waiting: 0, heldBytes: 0 };
    const connection = new Connection(() => answers[(mixture * 7 + (asked++) ** 2) % sizes.length]!, turn, 0);
    // Unparsed bytes come on top of it: at most one read.
    const bytes = Buffer.from(get('/').repeat(600));
    connection.receive(bytes, 0, bytes.length, 0);
    for (let times = 0; times < 20; times++) {
      const owed = connection.heldBytes - bytes.length;
      assert.ok(owed <= 256 * KiB, `${owed} bytes in mixture ${mixture}`);
      assert.equal(turn.heldBytes, connection.heldBytes);
      const output = connection.take('now', 0);
      if (output.length > 0) connection.stalled(output.length, 0);
      assert.ok(connection.heldBytes - bytes.length <= 256 * KiB);
      connection.drained(0);
      connection.resume(0);
    }
    connection.abandon(0);
    assert.equal(turn.heldBytes, 0);
  }
  assert.ok(owedBytesMax + outputBytesMax < 256 * KiB);
});

test('beyond what all may hold, what does not come in one piece gets 503, and short requests go on', async context => {
  const payments = new FakePayments();
  const { server, bound } = await start(context, {
    handler: routes({ payments, allowPurge: false }),
    commit: commitOf(payments),
  });
  const part = `POST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: ${bodyBytesMax}\r\n\r\n${'x'.repeat(bodyBytesMax - 1)}`;
  const needed = Math.ceil(heldBytesMax / bodyBytesMax) + 20;
  const clients = Array.from({ length: needed }, () => new RecordingClient(bound).send(part));
  await waitFor(() => clients.some(({ got }) => got !== ''), 'a refusal');
  await atRest(() => server.heldBytes);
  const refused = clients.filter(({ got }) => got !== '');
  assert.ok(server.heldBytes < heldBytesMax + 64 * KiB, `${server.heldBytes} bytes are held`);
  assert.deepEqual(new Set(refused.flatMap(client => client.statuses())), new Set([503]));
  assert.match(refused[0]!.got, /\r\nRetry-After: 1\r\n.*"detail":"Too much is held/s);
  assert.ok(refused.length < needed / 2);
  const honest = new RecordingClient(bound).send(pay.slice(0, 90));
  await atRest(() => server.heldBytes);
  honest.send(pay.slice(90) + pay.repeat(5));
  await waitFor(() => honest.statuses().length === 6, 'its answers');
  assert.deepEqual(new Set(honest.statuses()), new Set([202]));
  assert.ok(pay.length * 6 < heldBytesSpare);
  for (const { socket } of clients) socket.destroy();
  await waitFor(() => server.connections === 1, 'the others to be gone');
  assert.ok(server.heldBytes <= heldBytesSpare);
});

test('more payments than a pipeline holds are all answered, though they come in one read', async context => {
  const payments = new FakePayments();
  const { bound } = await start(context, {
    handler: routes({ payments, allowPurge: false }),
    commit: commitOf(payments),
  });
  const count = pipelineDepthMax * 2 - 1;
  const client = new RecordingClient(bound).send(pay.repeat(count));
  assert.ok(pay.length * count < 128 * KiB);
  await waitFor(() => client.statuses().length === count, 'all answers');
  assert.deepEqual(new Set(client.statuses()), new Set([202]));
});

test('beyond what all may hold, a connection is parsed no further than one answer', () => {
  let asked = 0;
  const turn = { batch: 1, waiting: 0, heldBytes: heldBytesMax };
  const handler = () => {
    asked++;
    return json(200, '1');
  };
  const connection = new Connection(handler, turn, 0);
  const bytes = Buffer.from(get('/').repeat(3));
  connection.receive(bytes, 0, bytes.length, 0);
  for (let answer = 1; answer <= 3; answer++) {
    assert.equal(asked, answer);
    assert.match(connection.take('now', 0).toString(), /^HTTP\/1.1 200 [^H]*$/);
    connection.resume(0);
  }
});

test('while a page is made for a client, its further requests wait, and those of others do not', async context => {
  const makings: ((page: Answer) => void)[] = [];
  const { bound } = await start(context, {
    handler: request => {
      if (request.path !== '/slow') return json(200, '1');
      request.isAlone = true;
      return new Promise(resolve => makings.push(resolve));
    },
  });
  const one = new RecordingClient(bound).send(get('/slow').repeat(3) + get('/quick'));
  await waitFor(() => makings.length === 1, 'a page');
  await new RecordingClient(bound).send(get('/quick')).until(/200 OK/);
  for (let page = 1; page <= 3; page++) {
    assert.equal(makings.length, page);
    makings[page - 1]!(json(200, `"${page}"`));
    await waitFor(() => one.statuses().length >= page, 'its answer');
    if (page < 3) await waitFor(() => makings.length > page, 'the next');
  }
  await waitFor(() => one.statuses().length === 4, 'the last answer');
  assert.match(one.got, /"1".*"2".*"3".*\r\n\r\n1$/s);
});
