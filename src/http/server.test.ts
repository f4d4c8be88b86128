import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { ACCEPTED, CONFLICT, type Kept, UNAVAILABLE } from '../payments/api.ts';
import { answersIn, FakePayments } from '../testing/http.ts';
import { atRest, RecordingClient, waitFor } from '../testing/recording-client.ts';
import { type Instrumentation, NO_OBSERVER } from './instrumentation.ts';
import { pipelineDepthMax, requestTimeoutMs } from './limits.ts';
import { sharedPage } from './page.ts';
import { Answer, afterCommit, json } from './response.ts';
import { commitOf, routes } from './routes.ts';
import { type ListenAddress, Server, type ServerOptions } from './server.ts';
import { DIRECT } from './sockets.ts';

const directory = mkdtempSync(join(tmpdir(), 'soquete-http-'));
after(() => rmSync(directory, { recursive: true, force: true }));
let sockets = 0;
const freshPath = (): string => join(directory, `${sockets++}.sock`);

async function start(
  context: TestContext,
  options: ServerOptions,
  address: ListenAddress = { path: freshPath() },
) {
  const server = new Server(options);
  const bound = await server.listen(address);
  context.after(() => server.close(0));
  return { server, bound };
}

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const pay = (place: number, amount = '19.90'): string => {
  const body = `{"correlationId":"4a7901b8-7d26-4d9d-aa19-${place.toString(16).padStart(12, '0')}","amount":${amount}}`;
  return `POST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};
const backend = (payments: FakePayments): ServerOptions => ({
  handler: routes({
    payments,
    allowPurge: true,
    pages: {
      '/metrics': sharedPage(
        async () => ({ status: 200, contentType: 'text/plain', body: 'é 1\n' }),
        () => 0,
      ),
    },
  }),
  commit: commitOf(payments),
});

type Way = Pick<ServerOptions, 'probe'>;
const documentedWay: Way = { probe: () => Promise.reject(new Error('the sockets are not as expected')) };

/** The same test of a server that uses its sockets directly, and of one that uses them the documented way. */
function bothWays(name: string, run: (context: TestContext, way: Way) => Promise<void>): void {
  test(name, context => run(context, {}));
  test(`${name}; the documented way`, context => run(context, documentedWay));
}

for (const [kind, address] of [
  ['a Unix socket', () => ({ path: freshPath() })],
  ['TCP', () => ({ host: '127.0.0.1', port: 0 })],
] as const) {
  bothWays(`Node's own client pays, looks up and sums over ${kind}`, async (context, way) => {
    const { bound } = await start(context, { ...backend(new FakePayments()), ...way }, address());
    const ask = (method: string, path: string, body?: string) =>
      new Promise<{ status: number | undefined; type: string | undefined; text: string }>(
        (resolve, reject) => {
          const target = 'path' in bound ? { socketPath: bound.path } : bound;
          const sent = httpRequest({ ...target, method, path, agent: false }, answer => {
            let text = '';
            answer.setEncoding('utf8');
            answer.on('data', (part: string) => {
              text += part;
            });
            answer.on('end', () =>
              resolve({ status: answer.statusCode, type: answer.headers['content-type'], text }),
            );
          });
          sent.on('error', reject);
          // Without a length, Node sends chunks.
          if (body !== undefined) sent.write(body.slice(0, 10));
          sent.end(body?.slice(10));
        },
      );
    const id = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';
    assert.equal((await ask('POST', '/payments', `{"correlationId":"${id}","amount":0.1}`)).status, 202);
    const found = await ask('GET', `/payments/${id}`);
    assert.equal(
      found.text,
      `{"correlationId":"${id}","amount":0.10,"status":"queued","processor":null,"requestedAt":null,` +
        '"acceptedAt":"2026-07-10T12:34:56.000Z","attempts":0}',
    );
    const summary = await ask('GET', '/payments-summary');
    assert.equal(
      summary.text,
      '{"default":{"totalRequests":1,"totalAmount":19.90},"fallback":{"totalRequests":0,"totalAmount":0.00}}',
    );
    assert.deepEqual(await ask('GET', '/metrics'), { status: 200, type: 'text/plain', text: 'é 1\n' });
    assert.equal((await ask('POST', '/purge-payments')).status, 200);
    assert.equal((await ask('GET', `/payments/${id}`)).status, 404);
    assert.equal((await ask('HEAD', '/health')).text, '');
  });
}

test('all payments of a turn are committed once, and answered only then', async context => {
  const payments = new FakePayments();
  let decide: (stored: boolean) => void = () => {};
  payments.commitResult = new Promise(resolve => {
    decide = resolve;
  });
  const { bound } = await start(context, backend(payments));
  const one = new RecordingClient(bound).send(pay(1) + pay(2) + get('/health') + pay(3));
  await waitFor(() => payments.known.size === 3, 'three payments');
  await waitFor(() => payments.commits === 1, 'a commit');
  assert.equal(one.got, '');
  decide(true);
  await one.until(/(?:HTTP\/1.1 [^H]*){4}/s);
  assert.deepEqual(one.statuses(), [202, 202, 200, 202]);
  assert.equal(payments.commits, 1);
});

test('payments that could not be stored are not accepted', async context => {
  const payments = new FakePayments();
  payments.commitResult = false;
  const failures: unknown[] = [];
  const observer: Instrumentation = {
    ...NO_OBSERVER,
    failed: (error, where) => failures.push([(error as Error).message, where]),
  };
  const { bound } = await start(context, { ...backend(payments), observer });
  const one = new RecordingClient(bound).send(pay(1) + get('/health') + pay(2, '0'));
  await one.until(/422/);
  assert.deepEqual(one.statuses(), [503, 200, 422]);
  assert.match(one.got, /Retry-After: 1\r\n/);
  assert.deepEqual(failures, [], 'a refusal is nothing unexpected');
  payments.commit = () => Promise.reject(new Error('rejected'));
  one.send(pay(4));
  await one.until(/503.*503 S/s);
  payments.commit = () => {
    throw new Error('thrown');
  };
  one.send(pay(5));
  await one.until(/503.*503 S.*503 S/s);
  assert.deepEqual(failures, [
    ['rejected', 'commit'],
    ['thrown', 'commit'],
  ]);
});

test('each payment of a turn gets what was decided on it, and what else was asked is not touched', async context => {
  const payments = new FakePayments();
  const waiting: number[] = [];
  const { promise, resolve } = Promise.withResolvers<Kept>();
  payments.commit = count => {
    waiting.push(count);
    return promise;
  };
  const { bound } = await start(context, backend(payments));
  const one = new RecordingClient(bound).send(pay(1) + get('/health') + pay(2, '0') + pay(3) + pay(4));
  await waitFor(() => waiting.length === 1, 'a commit');
  assert.deepEqual(waiting, [3], 'neither the refused payment nor the look waits');
  resolve(place => ([CONFLICT, ACCEPTED, UNAVAILABLE] as const)[place]!);
  await one.until(/(?:HTTP\/1.1 [^H]*){5}/s);
  assert.deepEqual(one.statuses(), [409, 200, 422, 202, 503]);
});

bothWays('a client that ended its side still gets its answers, then the end', async (context, way) => {
  const { bound, server } = await start(context, { ...backend(new FakePayments()), ...way });
  const one = new RecordingClient(bound);
  one.socket.end(pay(1) + get('/payments/4a7901b8-7d26-4d9d-aa19-000000000001'));
  await one.closed;
  assert.deepEqual(one.statuses(), [202, 200]);
  await waitFor(() => server.connections === 0, 'the connection to be gone');
});

bothWays('after a refusal the answer arrives although the client goes on sending', async (context, way) => {
  const { bound, server } = await start(
    context,
    { ...backend(new FakePayments()), ...way },
    { host: '127.0.0.1', port: 0 },
  );
  const one = new RecordingClient(bound);
  const poison = get('/health').repeat(2000);
  one.send(`POST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n${poison}`);
  for (let times = 0; times < 20; times++) one.send(poison);
  await one.closed;
  assert.deepEqual(one.statuses(), [413]);
  await waitFor(() => server.connections === 0, 'the connection to be gone');
});

test('a socket file that nobody serves is removed, one that is served is not', async context => {
  const path = freshPath();
  const { server } = await start(context, backend(new FakePayments()), { path });
  assert.equal(statSync(path).mode & 0o222, 0o222, 'the proxy is another user');
  await assert.rejects(new Server(backend(new FakePayments())).listen({ path }), { code: 'EADDRINUSE' });
  const one = new RecordingClient({ path }).send(get('/health', 'Connection: close\r\n'));
  await one.closed;
  assert.deepEqual(one.statuses(), [200]);
  await server.close();

  // A file that no process listens on, as a killed one leaves it.
  const stale = freshPath();
  const { spawnSync } = await import('node:child_process');
  const code = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', code]);
  assert.ok(statSync(stale).isSocket());
  await start(context, backend(new FakePayments()), { path: stale });

  const file = freshPath();
  writeFileSync(file, 'precious');
  await assert.rejects(new Server(backend(new FakePayments())).listen({ path: file }), {
    code: 'EADDRINUSE',
  });
});

test('two servers share a port, and each gets a part of the clients', async context => {
  const named = (name: string): ServerOptions => ({
    handler: () => json(200, `"${name}"`),
    reusePort: true,
  });
  const { bound } = await start(context, named('one'), { host: '127.0.0.1', port: 0 });
  await start(context, named('two'), bound);
  const seen = new Set<string>();
  // The kernel chooses by a hash of the client's port: that all go to one is a chance of 1 in 2^199.
  for (let clients = 0; clients < 200 && seen.size < 2; clients++) {
    const client = new RecordingClient(bound).send(get('/', 'Connection: close\r\n'));
    await client.closed;
    seen.add(answersIn(client.got)[0]!.body);
  }
  assert.deepEqual(seen, new Set(['"one"', '"two"']));
});

test('a server whose sockets are not as expected says so once, and leaves the direct way alone', async context => {
  const reasons: string[] = [];
  const observer = { ...NO_OBSERVER, degraded: (reason: string) => reasons.push(reason) };
  const direct = context.mock.method(DIRECT, 'take');
  const { bound } = await start(context, { ...backend(new FakePayments()), ...documentedWay, observer });
  for (let times = 0; times < 2; times++) await new RecordingClient(bound).send(get('/health')).until(/200/);
  assert.deepEqual(reasons, ['the sockets are not as expected']);
  assert.equal(direct.mock.callCount(), 0);
});

test('a port that is taken is an error of listen', async context => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => taken.once('listening', resolve));
  context.after(() => taken.close());
  const { port } = taken.address() as { port: number };
  await assert.rejects(new Server(backend(new FakePayments())).listen({ host: '127.0.0.1', port }), {
    code: 'EADDRINUSE',
  });
});

bothWays('no more connections than allowed', async (context, way) => {
  const { bound, server } = await start(context, {
    ...backend(new FakePayments()),
    ...way,
    connectionsMax: 2,
  });
  const [one, two] = [
    new RecordingClient(bound).send(get('/health')),
    new RecordingClient(bound).send(get('/health')),
  ];
  await one.until(/200/);
  await two.until(/200/);
  const three = new RecordingClient(bound).send(get('/health'));
  await three.closed;
  assert.equal(three.got, '');
  one.socket.destroy();
  await waitFor(() => server.connections === 1, 'room');
  await new RecordingClient(bound).send(get('/health')).until(/200/);
});

bothWays('closing answers what was read, says close, and ends in time', async (context, way) => {
  const answers: ((answer: Answer) => void)[] = [];
  const { bound, server } = await start(context, {
    ...way,
    handler: () => new Promise(resolve => answers.push(resolve)),
  });
  const [waiting, idle, stuck] = [
    new RecordingClient(bound),
    new RecordingClient(bound),
    new RecordingClient(bound),
  ];
  waiting.send(get('/'));
  await waitFor(() => answers.length === 1, 'a request');
  stuck.send(get('/stuck'));
  await waitFor(() => answers.length === 2, 'another');
  await waitFor(() => server.connections === 3, 'all three');
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const closed = server.close(300);
  await idle.closed;
  answers[0]!(json(200, '1'));
  await waiting.closed;
  assert.match(waiting.got, /200 OK.*Connection: close/s);
  const late = new RecordingClient(bound);
  await late.closed;
  assert.equal(late.got, '');
  assert.equal(server.connections, 1, 'the one that is stuck has its time');
  context.mock.timers.tick(300);
  await closed;
  await stuck.closed;
  assert.equal(stuck.got, '');
});

bothWays('a client that sends and never reads is not read either', async (context, way) => {
  let asked = 0;
  const big = new Answer(200, '', 'x'.repeat(10_000));
  const { bound, server } = await start(context, {
    ...way,
    handler: () => {
      asked++;
      return big;
    },
  });
  const one = new RecordingClient(bound);
  await waitFor(() => server.connections === 1, 'the connection');
  one.socket.pause();
  const total = 4_000;
  one.send(get('/', `X: ${'x'.repeat(1000)}\r\n`).repeat(total));
  await atRest(() => asked);
  assert.ok(asked > 0);
  // What the kernel holds, what one write holds, and one full pipeline.
  assert.ok(asked < 100 + pipelineDepthMax * 2, `${asked} requests were answered into the void`);
  assert.ok(one.socket.writableLength > 0);
  one.socket.resume();
  await waitFor(() => asked === total, 'the rest');
});

bothWays(
  'a request that drips gets 408, and 500 dripping clients do not disturb another',
  async (context, way) => {
    let nowMs = 0;
    const { bound, server } = await start(context, {
      ...backend(new FakePayments()),
      ...way,
      clock: { now: () => nowMs, wallMs: () => 0 },
    });
    const drips = Array.from({ length: 500 }, () =>
      new RecordingClient(bound).send('POST /payments HTTP/1.1\r\nHo'),
    );
    await waitFor(() => server.connections === 500, 'all of them');
    const one = new RecordingClient(bound);
    for (let place = 0; place < 20; place++) {
      for (const drip of drips) drip.send('s');
      one.send(pay(place));
      await waitFor(() => one.statuses().length === place + 1, 'an answer');
    }
    nowMs = requestTimeoutMs;
    await Promise.all(drips.map(({ closed }) => closed));
    for (const drip of drips) assert.deepEqual(drip.statuses(), [408]);
    one.send(pay(99));
    await waitFor(() => one.statuses().length === 21, 'one more answer');
  },
);

bothWays('sockets that break at any moment leave nothing behind', async (context, way) => {
  const payments = new FakePayments();
  let decide: (stored: boolean) => void = () => {};
  payments.commitResult = new Promise(resolve => {
    decide = resolve;
  });
  const answers: ((answer: Answer) => void)[] = [];
  let closed = 0;
  const { bound, server } = await start(
    context,
    {
      ...way,
      handler: request =>
        request.path === '/late'
          ? new Promise(resolve => answers.push(resolve))
          : afterCommit(202, json(503, '1')),
      commit: commitOf(payments),
      observer: { ...NO_OBSERVER, closed: () => closed++ },
    },
    { host: '127.0.0.1', port: 0 },
  );
  const starts = ['', 'G', get('/late'), get('/late') + pay(1), pay(2), pay(3).slice(0, -4), '\0'];
  const clients = Array.from({ length: 70 }, (_, at) =>
    new RecordingClient(bound).send(starts[at % starts.length]!),
  );
  await waitFor(() => server.connections + closed >= 70, 'all of them');
  for (const [at, client] of clients.entries()) {
    if (at % 2 === 0) client.socket.resetAndDestroy();
    else client.socket.destroy();
  }
  decide(true);
  await waitFor(() => {
    for (const answer of answers.splice(0)) answer(json(200, '1'));
    return server.connections === 0;
  }, 'nothing');
  assert.equal(closed, 70);
});
