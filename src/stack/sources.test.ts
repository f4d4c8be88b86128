/** What HAProxy makes of where a request comes from: whose it is, and how much one address may have. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { withoutHaproxy as skip, startProxy } from '../testing/haproxy.ts';
import { until } from '../testing/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'soquete-'));
/** Stands for a backend: answers each request with its head. */
const echo: Server = createServer(socket => {
  let received = '';
  socket.on('error', () => {});
  socket.setEncoding('latin1').on('data', text => {
    received += text;
    for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
      const head = received.slice(0, end);
      received = received.slice(end + 4);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${head.length}\r\n\r\n${head}`);
    }
  });
});
before(() => new Promise<void>(resolve => echo.listen(join(folder, 'backend-1.sock'), resolve)));
after(() => {
  echo.close();
  rmSync(folder, { recursive: true, force: true });
});

class Client implements Disposable {
  output = '';
  isClosed = false;
  readonly socket: Socket;

  constructor(port: number, localAddress = '127.0.0.1') {
    this.socket = connect({ port, host: '127.0.0.1', localAddress });
    this.socket.setEncoding('latin1').on('data', text => {
      this.output += text;
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.isClosed = true;
    });
  }

  get isOpen(): boolean {
    return this.socket.readyState === 'open';
  }

  /** Sends a request; returns all that has come when its answer is there, or the end of the connection. */
  async ask(fields = '', before = ''): Promise<string> {
    this.output = '';
    this.socket.write(`${before}GET /health HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
    await until(() => this.isClosed || isWhole(this.output), 'an answer');
    return this.output;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

function isWhole(output: string): boolean {
  const [head, body] = output.split(/\r\n\r\n(.*)/s);
  const length = /^content-length: (\d+)/im.exec(head!)?.[1];
  return body !== undefined && (length === undefined || body.length >= Number(length));
}

/** Runs HAProxy until it has found the backend. */
async function proxied(environment: NodeJS.ProcessEnv = {}, ready = '') {
  const proxy = await startProxy('haproxy.cfg', { SOQUETE_RUN: folder, ...environment });
  await until(async () => {
    using client = new Client(proxy.port);
    return (await client.ask('', ready)).includes(' 200 ');
  }, 'HAProxy to find the backend');
  return proxy;
}

const CLAIMS = 'X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-For: 9.9.9.9, 7.7.7.7\r\nForwarded: for=6.6.6.6\r\n';
const forwarded = (head: string): string[] =>
  [...head.matchAll(/^(?:x-)?forwarded.*: (.*?)\r?$/gim)].map(([, value]) => value!);

test('what a client says of its address is replaced by its address', { skip }, async () => {
  await using proxy = await proxied();
  using client = new Client(proxy.port, '127.0.0.5');
  assert.deepEqual(forwarded(await client.ask(CLAIMS)), ['127.0.0.5']);
  assert.deepEqual(forwarded(await client.ask()), ['127.0.0.5']);
});

test('of a trusted proxy the last address counts that it names, and its own if it names none', {
  skip,
}, async () => {
  await using proxy = await proxied({ SOQUETE_TRUSTED: '10.0.0.0/8 127.0.0.4/31 ::1' });
  using trusted = new Client(proxy.port, '127.0.0.5');
  assert.deepEqual(forwarded(await trusted.ask(CLAIMS)), ['7.7.7.7']);
  assert.deepEqual(forwarded(await trusted.ask('X-Forwarded-For: 2001:db8::1\r\n')), ['2001:db8::1']);
  assert.deepEqual(forwarded(await trusted.ask()), ['127.0.0.5']);
  using other = new Client(proxy.port, '127.0.0.6');
  assert.deepEqual(forwarded(await other.ask(CLAIMS)), ['127.0.0.6']);
});

test('clients of a trusted proxy are limited each by its own address', { skip }, async () => {
  const settings = { SOQUETE_TRUSTED: '127.0.0.5', SOQUETE_LIMIT_REQUEST_RATE: '20' };
  await using proxy = await proxied(settings);
  using trusted = new Client(proxy.port, '127.0.0.5');
  const from = (address: string): string => `X-Forwarded-For: ${address}\r\n`;
  trusted.socket.write(`GET /health HTTP/1.1\r\nHost: a\r\n${from('8.8.8.8')}\r\n`.repeat(100));
  await until(() => trusted.output.split('HTTP/1.1 ').length > 100, 'all answers');
  assert.match(trusted.output, /HTTP\/1\.1 429 /);
  assert.match(await trusted.ask(from('9.9.9.9')), /^HTTP\/1\.1 200 /);
});

test('the PROXY protocol is spoken with trusted proxies alone', { skip }, async () => {
  const line = 'PROXY TCP4 5.6.7.8 127.0.0.1 4000 80\r\n';
  const settings = { SOQUETE_TRUSTED: '127.0.0.1', SOQUETE_PROXY_PROTOCOL: '1' };
  await using proxy = await proxied(settings, line);
  using trusted = new Client(proxy.port);
  assert.deepEqual(forwarded(await trusted.ask(CLAIMS, line)), ['5.6.7.8']);
  using other = new Client(proxy.port, '127.0.0.6');
  assert.match(await other.ask('', line), /^HTTP\/1\.1 400 /);
});

function assertTooMany(answer: string): void {
  assert.match(answer, /^HTTP\/1\.1 429 [\s\S]*\r\ncontent-type: application\/problem\+json\r\n/i);
  assert.match(answer, /\r\nretry-after: 1\r\n/i);
  assert.equal(JSON.parse(answer.slice(answer.indexOf('{'))).status, 429);
}

test('too many connections of one address get 429, far too many nothing; others are served', {
  skip,
}, async () => {
  await using proxy = await proxied({ SOQUETE_LIMIT_CONNECTIONS: '10', SOQUETE_EXEMPT: '127.0.0.3' });
  using clients = new DisposableStack();
  const open = (): Client => clients.use(new Client(proxy.port, '127.0.0.2'));
  const first = Array.from({ length: 10 }, open);
  for (const client of first) assert.match(await client.ask(), / 200 /);
  const next = open();
  assertTooMany(await next.ask('X-Request-Id: 7f3e\r\n'));
  assert.match(next.output, /\r\nx-request-id: 7f3e\r\n/i);
  await until(() => next.isClosed, 'the connection that is too much to be closed');
  for (const client of first) assert.match(await client.ask(), / 200 /, 'those that were there first stay');

  const many = Array.from({ length: 200 }, open);
  await until(() => many.filter(({ isClosed }) => isClosed).length >= 200 - 64, 'most to be closed unread');
  assert.ok(many.every(({ output }) => output === ''));
  using other = new Client(proxy.port, '127.0.0.4');
  assert.match(await other.ask(), / 200 /);
  for (let more = 0; more < 30; more++) {
    const exempt = clients.use(new Client(proxy.port, '127.0.0.3'));
    assert.match(await exempt.ask(), / 200 /);
  }
});

test('in TCP mode too many connections of one address are closed', { skip }, async () => {
  await using proxy = await startProxy('tcp.cfg', { SOQUETE_RUN: folder, SOQUETE_LIMIT_CONNECTIONS: '10' });
  using clients = new DisposableStack();
  const open = (): Client => clients.use(new Client(proxy.port, '127.0.0.2'));
  const many = Array.from({ length: 30 }, open);
  await until(() => many.filter(({ isClosed }) => isClosed).length === 20, 'those that are too many to go');
  using other = new Client(proxy.port, '127.0.0.3');
  assert.match(await other.ask(), / 200 /);
});

test('too many requests of one address get 429 for a moment, and not those of an exempt one', {
  skip,
}, async () => {
  const limits = { SOQUETE_LIMIT_REQUEST_RATE: '20', SOQUETE_LIMIT_CONNECTION_RATE: '1000000' };
  await using proxy = await proxied({ ...limits, SOQUETE_EXEMPT: '127.0.0.1' });
  using client = new Client(proxy.port, '127.0.0.2');
  const request = 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n';
  const askedAtMs = performance.now();
  client.socket.write(request.repeat(100));
  const refusal = /HTTP\/1\.1 429 [\s\S]*?\}/;
  await until(() => refusal.test(client.output), 'a refusal');
  assertTooMany(refusal.exec(client.output)![0]);
  assert.ok(performance.now() - askedAtMs >= 950, 'it does not come at once');
  client.socket.destroy();
  using exempt = new Client(proxy.port);
  for (let asked = 0; asked < 100; asked++) assert.match(await exempt.ask(), / 200 /);
  using again = new Client(proxy.port, '127.0.0.2');
  await until(async () => (await again.ask()).includes(' 200 '), 'it to be served again', undefined, 500);
});

test('too many pages of one address get 429, and its payments pass', { skip }, async () => {
  await using proxy = await proxied({ SOQUETE_LIMIT_PAGE_RATE: '10', SOQUETE_EXEMPT: '127.0.0.1' });
  const pages = ['/', '/metrics', '/dashboard.json', '/openapi.json', '/unknown']
    .map(path => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    .join('');
  using client = new Client(proxy.port, '127.0.0.2');
  using other = new Client(proxy.port, '127.0.0.2');
  client.socket.write(pages.repeat(20));
  await until(async () => {
    assert.match(await other.ask(), / 200 /);
    return client.output.includes(' 429 ');
  }, 'a refusal');
  using exempt = new Client(proxy.port);
  exempt.socket.write(pages.repeat(20));
  await until(() => exempt.output.split('HTTP/1.1 200 ').length > 100, 'all pages of an exempt address');
});

test('too many new connections of one address are closed for a moment', { skip }, async () => {
  await using proxy = await proxied({ SOQUETE_LIMIT_CONNECTION_RATE: '20' });
  using clients = new DisposableStack();
  const open = (): Client => clients.use(new Client(proxy.port, '127.0.0.2'));
  const many = Array.from({ length: 200 }, open);
  await until(() => many.some(({ isClosed }) => isClosed), 'one to be closed');
  assert.ok(many.every(({ output }) => output === ''));
  await until(async () => (await open().ask()).includes(' 200 '), 'it to be served again', undefined, 500);
});

test('a connection that asks nothing is closed, a body that does not come is 408', { skip }, async () => {
  await using proxy = await proxied();
  using idle = new Client(proxy.port);
  using slowHead = new Client(proxy.port);
  slowHead.socket.write('GET /health HTTP/1.1\r\nHost:');
  using slowBody = new Client(proxy.port);
  slowBody.socket.write('POST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{');
  using kept = new Client(proxy.port);
  assert.match(await kept.ask(), / 200 /);
  await until(() => idle.isClosed && slowHead.isClosed && slowBody.isClosed, 'those to be closed');
  assert.match(slowHead.output, /^HTTP\/1\.1 408 /);
  assert.match(slowBody.output, /^HTTP\/1\.1 408 [\s\S]*problem\+json/);
  assert.match(await kept.ask(), / 200 /, 'between two requests there is more time');
});
