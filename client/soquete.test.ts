import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Options, Refusal, Soquete, Unreachable } from './soquete.ts';

const ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';

/** A client whose server says these answers, one after the other; an Error stands for a broken connection. */
function scripted(answers: (Response | Error)[], options: Options = {}) {
  const requests: { url: string; body: unknown }[] = [];
  const pauses: number[] = [];
  const client = new Soquete('http://localhost:9999/', {
    fetch: async (url, init) => {
      requests.push({ url: String(url), body: init?.body });
      const answer = answers.shift();
      assert.ok(answer !== undefined, 'one request more than there are answers');
      if (answer instanceof Error) throw answer;
      return answer;
    },
    random: () => 1,
    sleep: async ms => void pauses.push(ms),
    ...options,
  });
  return { client, requests, pauses };
}

const accepted = () => new Response(null, { status: 202 });
const refused = (status: number, headers: Record<string, string> = {}) =>
  Response.json({ type: '/problems/x', title: 'No', status, detail: 'mend it' }, { status, headers });

test('a payment is sent, and its amount as it was written', async () => {
  const { client, requests } = scripted([accepted(), accepted()]);
  await client.pay({ correlationId: ID, amount: 19.9 });
  await client.pay({ correlationId: ID, amount: '9999999999.90' });
  assert.deepEqual(requests, [
    { url: 'http://localhost:9999/payments', body: `{"correlationId":"${ID}","amount":19.9}` },
    { url: 'http://localhost:9999/payments', body: `{"correlationId":"${ID}","amount":9999999999.90}` },
  ]);
});

test('a payment may be labelled, for each time that it is sent', async () => {
  const sent: unknown[] = [];
  const answers = [refused(503), accepted(), accepted()];
  const { client } = scripted([], {
    fetch: async (_, init) => {
      const headers = new Headers(init?.headers);
      sent.push([headers.get('x-request-id'), headers.get('traceparent')]);
      return answers.shift()!;
    },
  });
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await client.pay({ correlationId: ID, amount: 1 }, { requestId: 'a', traceparent });
  await client.pay({ correlationId: ID, amount: 1 });
  assert.deepEqual(sent, [
    ['a', traceparent],
    ['a', traceparent],
    [null, null],
  ]);
});

test('what fails on the way is sent again, the same, after pauses that double', async () => {
  const { client, requests, pauses } = scripted([
    new TypeError('fetch failed'),
    refused(502),
    refused(500),
    accepted(),
  ]);
  await client.pay({ correlationId: ID, amount: 1 });
  assert.equal(new Set(requests.map(({ body }) => body)).size, 1);
  assert.deepEqual(pauses, [100, 200, 400]);
});

test('a part of each pause is chance', async () => {
  const { client, pauses } = scripted([refused(503), accepted()], { random: () => 0 });
  await client.pay({ correlationId: ID, amount: 1 });
  assert.deepEqual(pauses, [50]);
});

test('Retry-After is obeyed, up to a minute', async () => {
  const { client, pauses } = scripted([
    refused(503, { 'retry-after': '2' }),
    refused(429, { 'retry-after': '86400' }),
    accepted(),
  ]);
  await client.pay({ correlationId: ID, amount: 1 });
  assert.deepEqual(pauses, [2000, 60_000]);
});

test('a refusal is thrown at once, and says what to mend', async () => {
  const { client, requests } = scripted([refused(409)]);
  await assert.rejects(client.pay({ correlationId: ID, amount: 1 }), (error: Refusal) => {
    assert.ok(error instanceof Refusal);
    assert.equal(error.message, 'No: mend it');
    assert.equal(error.problem.status, 409);
    return true;
  });
  assert.equal(requests.length, 1);
});

test('in the end it gives up, and says so', async () => {
  const { client } = scripted([refused(503), refused(503), refused(503)], { attemptsMax: 3 });
  await assert.rejects(client.pay({ correlationId: ID, amount: 1 }), Unreachable);
});

test('an amount that is no number is not sent', async () => {
  const { client, requests } = scripted([]);
  for (const amount of ['19,90', '', '1e3', '-1', '007', Number.NaN]) {
    await assert.rejects(client.pay({ correlationId: ID, amount }), TypeError);
  }
  assert.equal(requests.length, 0);
});

test('a payment is looked up; one that is not known is undefined', async () => {
  const payment = { correlationId: ID, amount: 19.9, status: 'queued' };
  const { client, requests } = scripted([Response.json(payment), refused(404)]);
  assert.deepEqual(await client.find(ID), payment);
  assert.equal(await client.find(ID), undefined);
  assert.equal(requests[0]?.url, `http://localhost:9999/payments/${ID}`);
});

test('a summary has a window, or none', async () => {
  const summary = {
    default: { totalRequests: 1, totalAmount: 19.9 },
    fallback: { totalRequests: 0, totalAmount: 0 },
  };
  const { client, requests } = scripted([Response.json(summary), Response.json(summary)]);
  assert.deepEqual(await client.summary(), summary);
  await client.summary({ from: new Date(0), to: new Date(1000) });
  assert.deepEqual(
    requests.map(({ url }) => decodeURIComponent(new URL(url).search)),
    ['', '?from=1970-01-01T00:00:00.000Z&to=1970-01-01T00:00:01.000Z'],
  );
});
