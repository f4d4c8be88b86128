import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { DEFAULT } from '../domain/payment.ts';
import { AdminClient, type NoAdminAnswer, UnexpectedAdminAnswer } from './admin-client.ts';
import { serveProcessor } from './listener.ts';

const AT = '2026-07-10T12:34:56.000Z';
const id = (number: number): string => `4a7901b8-7d26-4d9d-aa19-${String(number).padStart(12, '0')}`;

async function setUp(t: TestContext) {
  const { url, close } = await serveProcessor(DEFAULT, 0);
  const admin = new AdminClient(url);
  t.after(async () => {
    await admin[Symbol.asyncDispose]();
    await close();
  });
  for (const number of [1, 2]) {
    const payment = { correlationId: id(number), amount: 19.9, requestedAt: AT };
    assert.equal((await admin.ask('POST', '/payments', payment)).status, 200);
  }
  return { url, admin };
}

/** Where a server answers all requests by `answer`. */
async function serve(t: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a processor's books are read to the cent", async t => {
  const { admin } = await setUp(t);
  const all = { count: 2, cents: 3980n, fee: '1.99', feePerTransaction: 0.05 };
  assert.deepEqual(await admin.summary(), all);
  const ms = Date.parse(AT);
  assert.deepEqual(await admin.summary({ fromMs: ms, toMs: ms }), all);
  assert.equal((await admin.summary({ fromMs: ms + 1, toMs: Infinity })).count, 0);
  const first = { cents: 1990n, requestedAtMs: ms };
  assert.deepEqual(await admin.recorded(id(1)), first);
  assert.equal(await admin.recorded(id(3)), undefined);
  assert.deepEqual(await admin.listed(0, 1), [{ ...first, seq: 1, correlationId: id(1) }]);
  assert.deepEqual(await admin.listed(2, 1), []);
  await admin.purge();
  assert.equal((await admin.summary()).count, 0);
});

test('what is set is as it was asked for', async t => {
  const { admin } = await setUp(t);
  await admin.set('delay', { delay: 5 });
  await admin.set('failure', { failure: true });
  await admin.set('faults', { hang: 0.5 });
  const { delay, failure, faults } = (await admin.settings()) as Record<string, unknown>;
  assert.deepEqual([delay, failure, (faults as { hang: number }).hang], [5, true, 0.5]);
});

test('a refusal has its status, and says to what', async t => {
  const { url, admin } = await setUp(t);
  await using stranger = new AdminClient(url, { token: 'x' });
  await assert.rejects(stranger.summary(), (error: UnexpectedAdminAnswer) => {
    assert.ok(error instanceof UnexpectedAdminAnswer);
    assert.equal(error.status, 401);
    assert.ok(error.message.startsWith(`answered 401 to GET ${url}/admin/payments-summary?from=1970-`));
    return true;
  });
  await assert.rejects(admin.set('delay', { delay: -1 }), UnexpectedAdminAnswer);
});

test('an answer that is no sum, no payment and no list is a refusal, too', async t => {
  await using admin = new AdminClient(
    await serve(t, (_, response) => response.end('{"totalRequests":"x"}\n')),
  );
  for (const answer of [admin.summary(), admin.recorded(id(1)), admin.listed(0, 1)]) {
    await assert.rejects(answer, UnexpectedAdminAnswer);
  }
});

test('no answer has a reason: nobody listens, it takes too long, it is too long', async t => {
  const reasonOf = async (url: string, options = {}): Promise<string> => {
    await using admin = new AdminClient(url, options);
    return await admin.ask('GET', '/').then(
      () => 'an answer',
      (error: NoAdminAnswer) => error.reason,
    );
  };
  assert.equal(await reasonOf('http://127.0.0.1:1'), 'ECONNREFUSED');
  const never = await serve(t, () => {});
  assert.equal(await reasonOf(never, { timeoutMs: 10 }), 'UND_ERR_HEADERS_TIMEOUT');
  const long = await serve(t, (_, response) => response.end('x'.repeat(2000)));
  assert.equal(await reasonOf(long, { answerBytesMax: 1000 }), 'UND_ERR_RES_EXCEEDED_MAX_SIZE');
});

test('a processor may be found below a path', async t => {
  const url = await serve(t, (request, response) => response.end(JSON.stringify({ url: request.url })));
  await using admin = new AdminClient(`${url}/below/`);
  assert.deepEqual(await admin.settings(), { url: '/below/admin/configurations' });
});
