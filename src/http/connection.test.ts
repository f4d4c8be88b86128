import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { answersIn, driveConnection, FakePayments, takeText } from '../testing/http.ts';
import { seed } from '../testing/seed.ts';
import { Connection, type Handler, type Turn } from './connection.ts';
import { type Instrumentation, NO_OBSERVER } from './instrumentation.ts';
import {
  idleTimeoutMs,
  lingerTimeoutMs,
  outputBytesMax,
  pipelineDepthMax,
  requestTimeoutMs,
  stallTimeoutMs,
} from './limits.ts';
import { REFUSAL_NAMES } from './refusals.ts';
import { GET, METHODS } from './request.ts';
import { Answer, afterCommit, chunkedJson, json, raw } from './response.ts';
import { routes } from './routes.ts';

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;

/** A connection whose answers are held until the test lets them go, by path. */
function open(handler?: Handler, observer?: Instrumentation) {
  const turn: Turn = { batch: 1, waiting: 0, heldBytes: 0 };
  const promises = new Map<string, (answer: Answer) => void>();
  const held: Handler = request => {
    const { path } = request;
    if (path.startsWith('/now')) return json(200, JSON.stringify(path));
    return new Promise(resolve => promises.set(path, resolve));
  };
  const connection = new Connection(handler ?? held, turn, 0, observer);
  return {
    connection,
    turn,
    send(text: string, nowMs = 0) {
      const bytes = Buffer.from(text, 'latin1');
      connection.receive(bytes, 0, bytes.length, nowMs);
    },
    async answer(path: string, answer = json(200, JSON.stringify(path))) {
      promises.get(path)!(answer);
      await Promise.resolve();
    },
    asked: () => [...promises.keys()],
    take: (nowMs = 0) => answersIn(takeText(connection, nowMs)).map(({ status, body }) => body || status),
    takeAll(nowMs = 0) {
      let count = 0;
      for (;;) {
        const output = takeText(connection, nowMs);
        if (output === '') {
          if (!connection.resume(nowMs)) return count;
        } else count += answersIn(output).length;
      }
    },
  };
}

test('answers leave in the order of the requests, whichever is ready first', async () => {
  const one = open();
  let wakes = 0;
  one.connection.onReady = () => wakes++;
  one.send(get('/a') + get('/now1') + get('/b') + get('/now2'));
  assert.deepEqual(one.take(), []);
  await one.answer('/b');
  assert.deepEqual(one.take(), []);
  assert.equal(wakes, 0, 'nothing to write yet');
  await one.answer('/a');
  assert.equal(wakes, 1);
  assert.deepEqual(one.take(), ['"/a"', '"/now1"', '"/b"', '"/now2"']);
});

test('an answer that waits for a commit holds back those behind it and gives way when nothing was stored', () => {
  const lost = json(503, '"lost"');
  const one = open(request => (request.path === '/pay' ? afterCommit(202, lost) : json(200, '"now"')));
  one.send(get('/now') + get('/pay') + get('/now'));
  assert.equal(one.turn.waiting > 0, true);
  assert.deepEqual(one.take(), ['"now"']);
  one.turn.batch++;
  one.send(get('/pay'));
  one.connection.decide(2, true);
  assert.deepEqual(one.take(), [], 'the second commit says nothing about the first');
  one.connection.decide(1, false);
  assert.deepEqual(one.take(), ['"lost"', '"now"', 202]);
});

test('each answer echoes the id of its own request, however late it is and whatever it is in the end', async () => {
  const lost = json(503, '"lost"');
  const promises: ((answer: Answer) => void)[] = [];
  const one = open(request => {
    if (request.path === '/now') return json(200, '"now"');
    if (request.path === '/pay') return afterCommit(202, lost);
    return new Promise(resolve => promises.push(resolve));
  });
  // More than the ring has places at first; every fifth request has no id.
  const paths = Array.from({ length: 40 }, (_, at) => ['/late', '/pay', '/now'][at % 3]!);
  const ids = paths.map((_, at) => (at % 5 === 0 ? undefined : `id-${at}`));
  for (const [at, path] of paths.entries()) {
    one.send(get(path, ids[at] === undefined ? '' : `X-Request-Id: ${ids[at]}\r\n`));
  }
  one.connection.finish(0);
  for (const resolve of promises.toReversed()) resolve(json(200, '"late"'));
  await Promise.resolve();
  one.connection.decide(1, false);
  const answers = answersIn(takeText(one.connection));
  assert.deepEqual(
    answers.map(({ status, head }) => [status, /^X-Request-Id: (.*)\r$/m.exec(head)?.[1]]),
    paths.map((path, at) => [path === '/pay' ? 503 : 200, ids[at]]),
  );
  assert.match(answers.at(-1)!.head, /^Connection: close\r$/m);
});

test('a handler that throws or rejects becomes 500 and is reported, and the connection goes on', async () => {
  const failures: unknown[] = [];
  const one = open(
    request => {
      if (request.path === '/throw') throw new Error('thrown');
      return request.path === '/reject' ? Promise.reject(new Error('rejected')) : json(200, '1');
    },
    { ...NO_OBSERVER, failed: (error, where) => failures.push([(error as Error).message, where]) },
  );
  one.send(get('/throw') + get('/reject') + get('/'));
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(
    answersIn(takeText(one.connection)).map(({ status }) => status),
    [500, 500, 200],
  );
  assert.deepEqual(failures, [
    ['thrown', 'handler'],
    ['rejected', 'handler'],
  ]);
});

test('a promise that is rejected when its client is gone is reported too', async () => {
  const failures: unknown[] = [];
  const observer = { ...NO_OBSERVER, failed: (error: unknown) => failures.push((error as Error).message) };
  const one = open(() => Promise.reject(new Error('rejected')), observer);
  one.send(get('/'));
  one.connection.abandon(0);
  await Promise.resolve();
  assert.deepEqual(failures, ['rejected']);
});

test('the depth of a pipeline is bounded, and the rest is parsed when answers have left', async () => {
  const one = open();
  const count = pipelineDepthMax * 3 + 7;
  one.send(Array.from({ length: count }, (_, at) => get(`/${at}`)).join(''));
  assert.equal(one.connection.pending, pipelineDepthMax);
  assert.equal(one.connection.wantsBytes, false);
  one.connection.receiveEnd(0);
  let answered = 0;
  for (let at = 0; at < count; at++) {
    await one.answer(`/${at}`);
    answered += one.takeAll();
    assert.ok(one.connection.pending <= pipelineDepthMax);
  }
  assert.equal(answered, count);
  assert.equal(one.connection.phase, 'ending');
});

test('a client that takes no answers is not read, and its answers are not made', () => {
  const big = new Answer(200, '', 'x'.repeat(30_000));
  let asked = 0;
  const one = open(() => {
    asked++;
    return big;
  });
  one.send(get('/').repeat(1000));
  assert.equal(asked, 5, 'of 30 KB each');
  const first = takeText(one.connection);
  assert.ok(first.length >= outputBytesMax && first.length < outputBytesMax + 31_000);
  one.connection.stalled(first.length, 0);
  assert.equal(takeText(one.connection), '');
  assert.equal(one.connection.resume(0), false);
  one.send(get('/').repeat(1000));
  assert.equal(asked, 5);
  one.connection.drained(0);
  one.takeAll();
  assert.equal(asked, 2000);
  one.connection.stalled(1, 0);
  one.connection.tick(stallTimeoutMs - 1);
  assert.equal(one.connection.phase, 'open');
  one.connection.tick(stallTimeoutMs);
  assert.equal(one.connection.phase, 'gone');
});

test('a request that is not complete in time gets 408 behind what is owed, and the connection ends', async () => {
  const one = open();
  one.send(get('/slow'), 0);
  one.send('GET / HT', 1000);
  for (let at = 1; at < 10; at++) one.send('', 1000 + at * 1000);
  one.connection.tick(1000 + requestTimeoutMs - 1);
  one.send('TP/1.1\r\nX-Request-Id: dripping\r\n', 1000 + requestTimeoutMs - 1);
  one.connection.tick(1000 + requestTimeoutMs);
  one.send(`Host: a\r\n\r\n${get('/now')}`, 1000 + requestTimeoutMs + 1);
  assert.equal(one.connection.phase, 'open');
  await one.answer('/slow');
  const answers = answersIn(takeText(one.connection));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 408],
  );
  assert.match(answers[1]!.head, /^X-Request-Id: dripping\r$/m);
  assert.match(answers[1]!.head, /^Connection: close\r$/m);
  assert.equal(one.connection.phase, 'ending');
});

test('the time of a request starts with its own first byte', () => {
  const one = open();
  one.send(get('/now') + get('/now').slice(0, 5), 0);
  one.takeAll();
  one.send(get('/now').slice(5) + get('/now').slice(0, 5), 6000);
  one.takeAll(6000);
  one.connection.tick(12_000);
  assert.equal(one.connection.phase, 'open');
  one.connection.tick(16_000);
  assert.deepEqual(
    answersIn(takeText(one.connection, 16_000)).map(({ status }) => status),
    [408],
  );
});

test('an idle connection ends without a word, a waiting one does not', () => {
  const idle = open();
  idle.send(get('/now'), 5);
  assert.equal(idle.takeAll(5), 1);
  idle.connection.tick(5 + idleTimeoutMs - 1);
  assert.equal(idle.connection.phase, 'open');
  idle.connection.tick(5 + idleTimeoutMs);
  assert.equal(idle.connection.phase, 'ending');
  assert.equal(takeText(idle.connection), '');
  idle.connection.tick(5 + idleTimeoutMs + lingerTimeoutMs);
  assert.equal(idle.connection.phase, 'gone');

  const waiting = open();
  waiting.send(get('/slow'), 0);
  waiting.connection.tick(idleTimeoutMs * 2);
  assert.equal(waiting.connection.phase, 'open');
});

test('a client that waits for 100 Continue gets it once, in order, and HTTP/1.0 never', async () => {
  const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
  const head = 'POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n';
  const one = open();
  one.send(head.slice(0, 30));
  assert.equal(takeText(one.connection), '');
  one.send(head.slice(30));
  assert.equal(takeText(one.connection), CONTINUE);
  one.send('h');
  assert.equal(takeText(one.connection), '');
  one.send('i');
  assert.match(takeText(one.connection), /^HTTP\/1.1 200 /);
  one.send(`${head}h`);
  assert.equal(takeText(one.connection), '', 'the body is on its way');
  one.send(`i${get('/slow')}${head}`);
  assert.match(takeText(one.connection), /^HTTP\/1.1 200 /);
  await one.answer('/slow');
  assert.match(takeText(one.connection), /"\/slow"HTTP\/1.1 100 Continue\r\n\r\n$/);

  const old = open();
  old.send(head.replace('1.1', '1.0'));
  assert.equal(takeText(old.connection), '');
});

test('a connection that is to finish answers what was read and says close', async () => {
  const one = open();
  one.send(get('/a') + get('/b'));
  one.connection.finish(0);
  one.send(get('/c'));
  await one.answer('/a');
  await one.answer('/b');
  const answers = answersIn(takeText(one.connection));
  assert.deepEqual(
    answers.map(({ body, head }) => [body, head.includes('Connection: close')]),
    [
      ['"/a"', false],
      ['"/b"', true],
    ],
  );
  assert.equal(one.connection.phase, 'ending');
  assert.deepEqual(one.asked(), ['/a', '/b']);

  const idle = open();
  idle.connection.finish(0);
  assert.equal(idle.connection.phase, 'ending');

  const half = open();
  half.send('GET /now HTTP/1.1\r\nHo');
  half.connection.finish(0);
  assert.equal(half.connection.phase, 'open');
  half.send('st: a\r\n\r\n');
  assert.match(takeText(half.connection), /Connection: close\r\n/);
  assert.equal(half.connection.phase, 'ending');
});

test('a handler may send any bytes, in order, and cut the connection', async () => {
  const one = open(request => {
    if (request.path === '/cut') return raw('HTTP/1.1 200 OK\r\nContent-Le', 'destroy');
    return request.path === '/chunked' ? chunkedJson(200, '{"é":1}', 'Retry-After: 1\r\n') : json(200, '1');
  });
  one.send(get('/') + get('/chunked') + get('/cut') + get('/'));
  const output = takeText(one.connection);
  assert.ok(
    output.endsWith('\r\n\r\n8\r\n{"\u00c3\u00a9":1}\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Le'),
    output,
  );
  assert.match(output, /Retry-After: 1\r\nTransfer-Encoding: chunked\r\n\r\n8/);
  assert.equal(one.connection.phase, 'gone');
});

test('the request shows its parts to the handler', () => {
  const seen: unknown[] = [];
  const one = open(request => {
    const { method, methodName, path, query, minor } = request;
    const body = Buffer.from(request.body()).toString();
    seen.push([METHODS[method], methodName, path, query, minor, body]);
    seen.push(['X-Token', 'x-e', 'host', 'none', 'content-type'].map(name => request.header(name)));
    return json(200, '1');
  });
  const more = 'X-Token:  a:b \r\nX-E:\r\nX-Token: c\r\nContent-Length: 2\r\n';
  one.send(`${get('/a%20b?c=d?e', more)}hi`);
  one.send('BREW http://h/ HTTP/1.0\r\nHost: h\r\n\r\n');
  assert.deepEqual(seen, [
    ['GET', 'GET', '/a%20b', 'c=d?e', 1, 'hi'],
    ['a:b, c', '', 'a', undefined, undefined],
    ['other', 'BREW', '/', undefined, 0, ''],
    [undefined, undefined, 'h', undefined, undefined],
  ]);
});

test('the observer is told of every answer and refusal', () => {
  const told: unknown[] = [];
  const one = open(
    request => {
      request.route = 7;
      return json(200, '1');
    },
    {
      ...NO_OBSERVER,
      answered: (...numbers) => told.push(numbers),
      refused: reason => told.push(REFUSAL_NAMES[reason]),
    },
  );
  one.send(get('/'), 100);
  takeText(one.connection, 102.5);
  one.send('GET /\r\n', 200);
  takeText(one.connection, 200);
  assert.deepEqual(told, [[GET, 7, 200, 2.5], 'requestLine', [0, 0, 400, 0]]);
});

test('500 KB of single bytes cost no more than twice what they cost at once', () => {
  // The state after each byte is a handful of numbers: a scan that began anew would be quadratic.
  const head = `GET /now HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(16_000)}\r\n\r\n`;
  const one = open();
  const bytes = Buffer.from(head.repeat(8));
  const start = process.cpuUsage();
  for (let at = 0; at < bytes.length; at++) one.connection.receive(bytes, at, at + 1, 0);
  const { user } = process.cpuUsage(start);
  assert.equal(one.takeAll(), 8);
  // A quadratic one needs 8 * 16,000 * 16,000 / 2 steps: a second and more.
  assert.ok(user < 500_000, `${user} µs`);
});

test(`any pipeline of good and bad requests means the same however it is cut (SEED=${seed})`, async () => {
  const body = '{"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":1}';
  const parts = [
    get('/health'),
    get('/payments-summary'),
    get('/payments/4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3'),
    `POST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    `POST /payments HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\n{\r\n${(body.length - 1).toString(16)}\r\n${body.slice(1)}\r\n0\r\nA: b\r\n\r\n`,
    'HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    '\r\n',
    get('/health', 'X-Request-Id: a\r\n'),
    get('/payments-summary', 'X-Request-Id: b\r\n'),
    get('/health', 'Connection: close\r\n'),
    get('/health').replace('\r\n', '\n'),
    'GET /x',
    'POST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{',
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(parts.length - 1), { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat(10_000), { maxLength: 12 }),
      async (picks, cuts) => {
        const bytes = Buffer.from(picks.map(pick => parts[pick]).join(''));
        const places = [...new Set(cuts.map(cut => cut % bytes.length))].toSorted((a, b) => a - b);
        const pieces = [0, ...places].map((start, at) => bytes.subarray(start, places[at] ?? bytes.length));
        const run = (some: Buffer[]) =>
          driveConnection(some, {
            handler: routes({ payments: new FakePayments(), allowPurge: false }),
            ends: true,
          });
        assert.deepEqual(await run(pieces), await run([bytes]));
      },
    ),
    { numRuns: 1000, seed },
  );
});
