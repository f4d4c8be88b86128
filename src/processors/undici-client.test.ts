import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { type AttemptResult, classify } from '../domain/outcome.ts';
import { DEFAULT } from '../domain/payment.ts';
import type { Found } from './port.ts';
import { UndiciClient } from './undici-client.ts';

const request = {
  correlationId: '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3',
  cents: 1990,
  requestedAtMs: Date.UTC(2026, 6, 10, 12, 34, 56, 7),
};

type Answer = (socket: Socket, received: string) => void;

/** A processor that answers each whole request with raw bytes, and a client of it. */
async function processor(answer: Answer, attemptTimeoutMs = 5000, user = '', path = '') {
  const received: string[] = [];
  let connections = 0;
  const server = createServer(socket => {
    connections += 1;
    let text = '';
    socket.on('error', () => {});
    socket.on('data', bytes => {
      text += bytes.toString('latin1');
      if (!text.includes('\r\n\r\n') || (text.startsWith('POST') && !text.endsWith('}'))) return;
      received.push(text);
      answer(socket, text);
      text = '';
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const url = `http://${user}127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  const client = new UndiciClient({ urls: [url, url], attemptTimeoutMs, connections: 1 });
  after(async () => {
    await client.close();
    server.close();
  });
  const post = () => new Promise<AttemptResult>(resolve => client.post(DEFAULT, request, resolve));
  return { client, post, received, connections: () => connections };
}

const says =
  (text: string): Answer =>
  socket =>
    socket.write(text);
const outcomeOf = (ending: AttemptResult): string => classify(ending).outcome;

test('a payment goes out with its id, exact amount and instant', async () => {
  const { post, received } = await processor(says('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'));
  assert.deepEqual(await post(), { status: 200 });
  const [head, body] = received[0]!.split('\r\n\r\n');
  assert.match(head!, /^POST \/payments HTTP\/1\.1\r\n/);
  assert.match(head!, /\r\ncontent-type: application\/json/i);
  assert.equal(
    body,
    '{"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":19.90,"requestedAt":"2026-07-10T12:34:56.007Z"}',
  );
});

test('the trace goes along with the payment and with the look-up, where there is one', async () => {
  const { client, post, received } = await processor(
    says('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
  );
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await post();
  await new Promise<AttemptResult>(resolve => client.post(DEFAULT, { ...request, traceparent }, resolve));
  for (const trace of [undefined, traceparent]) {
    await new Promise<Found>(resolve => client.find(DEFAULT, request.correlationId, resolve, trace));
  }
  assert.deepEqual(
    received.map(text => [text.slice(0, 4), /\r\ntraceparent: (.*)\r\n/.exec(text)?.[1]]),
    [
      ['POST', undefined],
      ['POST', traceparent],
      ['GET ', undefined],
      ['GET ', traceparent],
    ],
  );
});

test('a connection is used again after a 200, and not after an error', async () => {
  const answers = ['200 OK', '200 OK', '500 Internal Server Error', '200 OK'];
  const { post, connections } = await processor(socket =>
    socket.write(`HTTP/1.1 ${answers.shift()}\r\nContent-Length: 0\r\n\r\n`),
  );
  const statuses: unknown[] = [];
  for (let attempt = 0; attempt < 4; attempt++) statuses.push(await post());
  assert.deepEqual(statuses, [{ status: 200 }, { status: 200 }, { status: 500 }, { status: 200 }]);
  assert.equal(connections(), 2);
});

test('a whole status line and head decide, even if the body is cut', async () => {
  const { post } = await processor(socket =>
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"cut'),
  );
  assert.deepEqual(await post(), { status: 200 });
});

for (const [what, head, body] of [
  ['a maintenance page', 'Content-Type: text/html\r\n', '<html>We are back soon</html>'],
  ['another id', 'Content-Type: application/json\r\n', `{"correlationId":"${'0'.repeat(36)}"}`],
  ['another amount', 'Content-Type: application/json\r\n', '{"amount":1.99}'],
] as const) {
  test(`${what} in the body shows that something else answered`, async () => {
    for (const status of ['200 OK', '422 Unprocessable Content']) {
      const { post } = await processor(
        says(`HTTP/1.1 ${status}\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`),
      );
      assert.deepEqual(await post(), { status: Number(status.slice(0, 3)), isForeign: true });
    }
  });
}

test('a body that never comes is not waited for', async () => {
  const { post } = await processor(says('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"mess'));
  assert.deepEqual(await post(), { status: 200 });
});

test('user and password of the address go along with every request, the path in front of it', async () => {
  const { client, post, received } = await processor(
    says('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
    5000,
    'Aladdin:open%20sesame@',
    '/api/',
  );
  await post();
  await new Promise<Found>(resolve => client.find(DEFAULT, request.correlationId, resolve));
  await new Promise(resolve => client.health(DEFAULT, resolve));
  assert.equal(received.length, 3);
  for (const text of received) {
    assert.match(text, /^[A-Z]+ \/api\/payments/);
    assert.match(text, /\r\nauthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n/i);
  }
});

test('a record of another payment is no record, and its amount is read exactly', async () => {
  const records = [
    { ...request, correlationId: '0'.repeat(36), amount: 19.9, requestedAt: '2026-07-10T12:34:56.007Z' },
    { ...request, correlationId: 7, amount: 19.9, requestedAt: '2026-07-10T12:34:56.007Z' },
    { ...request, amount: 19.904, requestedAt: '2026-07-10T12:34:56.007Z' },
    { ...request, amount: '19.90', requestedAt: '2026-07-10T12:34:56.007Z' },
  ].map(record => JSON.stringify(record));
  const { client } = await processor(socket => {
    const body = records.shift()!;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  const find = () => new Promise<Found>(resolve => client.find(DEFAULT, request.correlationId, resolve));
  assert.deepEqual(await find(), { is: 'unavailable' });
  assert.deepEqual(await find(), { is: 'unavailable' });
  const found = await find();
  assert.ok(found.is === 'there' && found.cents !== 1990);
  const text = await find();
  assert.ok(text.is === 'there' && text.cents === 1990);
});

test('that there is no record is said by JSON, or by nothing', async () => {
  const answers = ['', '{"title":"Not Found"}', '<html></html>', 'no'];
  const { client } = await processor(socket => {
    const body = answers.shift()!;
    socket.write(`HTTP/1.1 404 Not Found\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  const find = () => new Promise<Found>(resolve => client.find(DEFAULT, request.correlationId, resolve));
  for (const is of ['absent', 'absent', 'unavailable', 'unavailable'] as const)
    assert.deepEqual(await find(), { is });
});

test('interim answers are passed over', async () => {
  const { post } = await processor(
    says('HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
  );
  assert.deepEqual(await post(), { status: 200 });
});

for (const [seconds, retryAfterMs] of [
  ['3', 3000],
  ['4102444800', 60_000],
] as const) {
  test(`Retry-After: ${seconds} comes along, in seconds, up to a minute`, async () => {
    const { post } = await processor(
      says(`HTTP/1.1 429 Too Many Requests\r\nRetry-After: ${seconds}\r\nContent-Length: 0\r\n\r\n`),
    );
    assert.deepEqual(await post(), { status: 429, retryAfterMs });
  });
}

test('a refused connection proves that nothing was sent', async () => {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await new Promise(resolve => server.close(resolve));
  const client = new UndiciClient({ urls: [url, url], attemptTimeoutMs: 1000, connections: 1 });
  const ending = await new Promise<AttemptResult>(resolve => client.post(DEFAULT, request, resolve));
  assert.equal(outcomeOf(ending), 'not connected');
  await client.close();
});

test('a reset after the request was sent is unknown', async () => {
  const { post } = await processor(socket => socket.resetAndDestroy());
  assert.equal(outcomeOf(await post()), 'reset');
});

test('a close without a word is unknown', async () => {
  const { post } = await processor(socket => socket.end());
  assert.equal(outcomeOf(await post()), 'reset');
});

test('garbage is unknown', async () => {
  const { post } = await processor(socket => socket.end('\x00\x01 nonsense\r\n\r\n'));
  assert.equal(outcomeOf(await post()), 'garbage');
});

test('silence is unknown', async () => {
  const { post } = await processor(() => {}, 1);
  assert.equal(outcomeOf(await post()), 'timed out');
});

test('a record is read back, a missing Z meaning UTC', async () => {
  const body = JSON.stringify({ ...request, amount: 19.9, requestedAt: '2026-07-10T12:34:56.007' });
  const { client, received } = await processor(
    says(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
  );
  const found = await new Promise<Found>(resolve => client.find(DEFAULT, request.correlationId, resolve));
  assert.deepEqual(found, { is: 'there', requestedAtMs: request.requestedAtMs, cents: 1990 });
  assert.match(received[0]!, new RegExp(`^GET /payments/${request.correlationId} HTTP/1.1`));
});

test('no record yet is told apart from no answer', async () => {
  const answers = ['404 Not Found', '500 Internal Server Error'];
  const { client } = await processor(socket =>
    socket.write(`HTTP/1.1 ${answers.shift()}\r\nContent-Length: 0\r\n\r\n`),
  );
  const find = () => new Promise<Found>(resolve => client.find(DEFAULT, request.correlationId, resolve));
  assert.deepEqual(await find(), { is: 'absent' });
  assert.deepEqual(await find(), { is: 'unavailable' });
});

test('a page that a gateway does not have is no word on the payment', async () => {
  for (const [type, is] of [
    ['text/html', 'unavailable'],
    ['text/plain', 'unavailable'],
    ['application/problem+json', 'absent'],
  ] as const) {
    const answer = `HTTP/1.1 404 Not Found\r\nContent-Type: ${type}\r\nContent-Length: 2\r\n\r\n{}`;
    const { client } = await processor(says(answer));
    const found = await new Promise<Found>(resolve => client.find(DEFAULT, request.correlationId, resolve));
    assert.equal(found.is, is, type);
  }
});

test('health is read, and nonsense is no health', async () => {
  const bodies = ['{"failing":true,"minResponseTime":250}', '{"failing":"perhaps"}', '<html>'];
  const { client } = await processor(socket => {
    const body = bodies.shift()!;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  const health = () => new Promise(resolve => client.health(DEFAULT, resolve));
  assert.deepEqual(await health(), { failing: true, minResponseMs: 250 });
  assert.equal(await health(), undefined);
  assert.equal(await health(), undefined);
});
