/**
 * Traces and request ids through the real stack: HAProxy where it is installed, backends, and processors that
 * note what they get.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { traceIdOf } from '../domain/trace-context.ts';
import { type RunningStack, startStack } from '../testing/stack.ts';
import { until } from '../testing/until.ts';

interface Asked {
  readonly method: string;
  readonly traceparent: string | undefined;
}

const AMOUNT = 19.9;
/** What the processor was asked, by correlationId, in order. */
const asked = new Map<string, Asked[]>();
/**
 * What it says to the payments of a correlationId, one after the other; 200 when there is nothing left to
 * say.
 */
const answers = new Map<string, number[]>();

const processor = createServer((request: IncomingMessage, response: ServerResponse) => {
  let body = '';
  request.setEncoding('utf8').on('data', text => {
    body += text;
  });
  request.on('end', () => {
    const { method = '', url = '' } = request;
    const say = (status: number, answer: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    };
    if (url.endsWith('/service-health')) {
      say(200, { failing: false, minResponseTime: 0 });
      return;
    }
    const id: string = method === 'POST' ? JSON.parse(body).correlationId : url.slice('/payments/'.length);
    const traceparent = request.headers['traceparent'] as string | undefined;
    asked.set(id, [...(asked.get(id) ?? []), { method, traceparent }]);
    if (method === 'POST') say(answers.get(id)?.shift() ?? 200, {});
    else say(200, { correlationId: id, amount: AMOUNT, requestedAt: '2026-07-10T12:34:56.000' });
  });
});
let stack: RunningStack;

before(async () => {
  await new Promise<void>(resolve => processor.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(processor.address() as AddressInfo).port}`;
  stack = await startStack({ env: { PROCESSOR_DEFAULT_URL: url, PROCESSOR_FALLBACK_URL: url } });
});

after(async () => {
  await stack[Symbol.asyncDispose]();
  processor.close();
});

const pay = (correlationId: string, headers: Record<string, string>): Promise<Response> =>
  fetch(`${stack.url}/payments`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ correlationId, amount: AMOUNT }),
  });

const settled = (id: string): Promise<void> =>
  until(async () => {
    const { status } = (await (await fetch(`${stack.url}/payments/${id}`)).json()) as { status: string };
    return status === 'settled';
  }, `${id} to be settled`);

test('every question about a payment carries its trace, each with a parent-id of its own', async () => {
  const id = randomUUID();
  answers.set(id, [500, 422]);
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  assert.equal((await pay(id, { traceparent })).status, 202);
  await settled(id);
  const seen = asked.get(id)!;
  assert.deepEqual(
    seen.map(({ method }) => method),
    ['POST', 'POST', 'GET'],
  );
  const texts = seen.map(one => one.traceparent ?? '');
  for (const text of texts) {
    assert.match(text, /^00-[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01$/);
    assert.equal(traceIdOf(text), traceIdOf(traceparent));
  }
  assert.equal(new Set([traceparent, ...texts]).size, 4);
});

test('a payment without a trace, or with one that is not valid, is sent without', async () => {
  for (const headers of [{}, { traceparent: 'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }]) {
    const id = randomUUID();
    assert.equal((await pay(id, headers)).status, 202);
    await settled(id);
    assert.deepEqual(asked.get(id), [{ method: 'POST', traceparent: undefined }]);
  }
});

test('a request gets its own id back, an answer without one has none', async () => {
  const said = async (answer: Promise<Response>) => {
    const { status, headers } = await answer;
    return [status, headers.get('x-request-id')];
  };
  const id = randomUUID();
  assert.deepEqual(await said(pay(id, { 'x-request-id': 'first' })), [202, 'first']);
  assert.deepEqual(await said(pay(id, {})), [202, null]);
  assert.deepEqual(await said(pay('no UUID', { 'x-request-id': 'third' })), [422, 'third']);
});
