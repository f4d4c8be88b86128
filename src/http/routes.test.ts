import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Traces } from '../domain/trace-context.ts';
import type { Acceptance } from '../payments/api.ts';
import { driveConnection, FakePayments } from '../testing/http.ts';
import { routes } from './routes.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Payments that keep what each payment's question to a processor would carry. */
class Traced extends FakePayments {
  readonly seen: (string | undefined)[] = [];

  override accept(id: Int32Array, cents: number, trace?: Int32Array): Acceptance {
    const traces = new Traces(1);
    if (trace !== undefined) traces.set(0, trace);
    this.seen.push(traces.traceparent(0, () => 0));
    return super.accept(id, cents);
  }
}

/** A payment with these field lines, and in the same connection one without any. */
function pay(...fields: string[]): Buffer {
  const body = '{"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":19.9}';
  const request = (more: string[]): string =>
    ['POST /payments HTTP/1.1', 'Host: a', ...more, `Content-Length: ${body.length}`, '', body].join('\r\n');
  return Buffer.from(request(fields) + request([]), 'latin1');
}

async function seen(pieces: Buffer[]): Promise<(string | undefined)[]> {
  const payments = new Traced();
  await driveConnection(pieces, { handler: routes({ payments, allowPurge: false }) });
  return payments.seen;
}

const PASSED = '00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01';

test('the trace of a payment is handed over with it, wherever the request was cut', async () => {
  const bytes = pay(`TraceParent: \t${TRACEPARENT} `);
  for (let cut = 0; cut < bytes.length; cut++) {
    const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)];
    assert.deepEqual(await seen(pieces), [PASSED, undefined], `cut at byte ${cut}`);
  }
});

test('a trace that is not valid, or of which there are two, is none', async () => {
  const field = `traceparent: ${TRACEPARENT}`;
  for (const fields of [['traceparent:'], ['traceparent: 00'], [field, field], [field, 'traceparent: 00']]) {
    assert.deepEqual(await seen([pay(...fields)]), [undefined, undefined], fields.join());
  }
  assert.deepEqual(await seen([pay(field.replace('traceparent', 'trace-arent'))]), [undefined, undefined]);
});
