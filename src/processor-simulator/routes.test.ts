import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT } from '../domain/payment.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import type { ProcessorAnswer } from './answer.ts';
import { SimulatedProcessor } from './processor.ts';
import { handle, type ProcessorRequest } from './routes.ts';

const ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';
const AT = '2026-07-10T12:34:56.000Z';

function setUp() {
  const processor = new SimulatedProcessor(DEFAULT, new VirtualClock());
  const ask = (
    method: string,
    target: string,
    body: unknown = '',
    more: Partial<ProcessorRequest> = {},
  ): ProcessorAnswer => {
    let said: ProcessorAnswer | undefined;
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const request = { method, target, body: text, contentType: 'application/json', token: '123', ...more };
    handle(processor, request, answer => {
      said = answer;
    });
    assert.ok(said);
    return said;
  };
  const pay = (amount: string, requestedAt = AT, correlationId = ID): number =>
    ask(
      'POST',
      '/payments',
      `{"correlationId":"${correlationId}","amount":${amount},"requestedAt":"${requestedAt}"}`,
    ).status;
  return { processor, ask, pay };
}

test('a payment is processed and found, whatever the case of its id', () => {
  const { ask, pay } = setUp();
  assert.equal(pay('19.90'), 200);
  assert.deepEqual(JSON.parse(ask('GET', `/payments/${ID.toUpperCase()}`).body), {
    correlationId: ID,
    amount: 19.9,
    requestedAt: AT.slice(0, -1),
  });
});

test('amounts are rounded half to even, from their digits', () => {
  const { processor, pay } = setUp();
  const amounts = ['0.125', '0.135', '2.675', '1990e-2', '0'];
  amounts.forEach((amount, number) => {
    assert.equal(pay(amount, AT, `${ID.slice(0, -1)}${number}`), 200);
  });
  assert.deepEqual(
    amounts.map((_, row) => processor.book.entry(row).cents),
    [12, 14, 268, 1990, 0],
  );
});

test('instants may have an offset or none, which is UTC', () => {
  const { processor, pay } = setUp();
  assert.equal(pay('1', '2026-07-10T14:34:56.001+02:00'), 200);
  assert.equal(pay('1', '2026-07-10T12:34:56.001', ID.replace('4', '5')), 200);
  assert.equal(processor.book.entry(0).requestedAtMs, Date.parse(AT) + 1);
  assert.equal(processor.book.entry(1).requestedAtMs, Date.parse(AT) + 1);
});

test('a body that is no payment is 400, one not declared as JSON 415', () => {
  const { processor, ask, pay } = setUp();
  const bodies = [
    '',
    '{',
    '[]',
    '1',
    '{}',
    'null',
    `{"correlationId":"${ID}","amount":"1","requestedAt":"${AT}"}`,
  ];
  for (const body of bodies) assert.equal(ask('POST', '/payments', body).status, 400, body);
  assert.equal(pay('-1'), 400);
  assert.equal(pay('1', 'yesterday'), 400);
  assert.equal(pay('1', AT, 'x'), 400);
  for (const contentType of ['', 'text/plain', 'application/jsonx']) {
    assert.equal(ask('POST', '/payments', '{}', { contentType }).status, 415, contentType);
  }
  assert.equal(ask('POST', '/payments', '{}', { contentType: 'application/json;charset=utf-8' }).status, 400);
  assert.equal(processor.book.size, 0);
});

test('an unknown path is 404, a wrong method 405', () => {
  const { ask } = setUp();
  assert.equal(ask('GET', '/').status, 404);
  assert.equal(ask('GET', '/payments/x').status, 404);
  assert.equal(ask('GET', '/admin/x').status, 404);
  assert.equal(ask('GET', '/payments').status, 405);
  assert.equal(ask('DELETE', `/payments/${ID}`).status, 405);
  assert.equal(ask('POST', '/payments/service-health').status, 405);
  assert.equal(ask('constructor', '/admin/payments').status, 405);
});

test('the summary wants both bounds, else it counts everything', () => {
  const { ask, pay } = setUp();
  pay('19.90');
  const count = (query: string): number =>
    JSON.parse(ask('GET', `/admin/payments-summary${query}`).body).totalRequests;
  assert.equal(count(''), 1);
  assert.equal(count(`?from=2030-01-01T00:00:00Z`), 1);
  assert.equal(count(`?to=2000-01-01T00:00:00Z`), 1);
  assert.equal(count(`?from=${AT}&to=${AT}`), 1);
  assert.equal(count(`?from=2026-07-10T14:34:56.000+02:00&to=2026-07-10T12:34:56Z`), 1);
  assert.equal(count(`?from=2026-07-10T12:34:56.001Z&to=2030-01-01T00:00:00Z`), 0);
  assert.equal(ask('GET', '/admin/payments-summary?from=x&to=y').status, 400);
});

test('what is under /admin/ wants the token, which can be changed', () => {
  const { ask } = setUp();
  assert.equal(ask('GET', '/admin/payments-summary', '', { token: '' }).status, 401);
  assert.equal(ask('PUT', '/admin/configurations/token', { token: 'secret' }).status, 204);
  assert.equal(ask('GET', '/admin/payments-summary').status, 401);
  assert.equal(ask('GET', '/admin/payments-summary', '', { token: 'secret' }).status, 200);
});

test('delay, failure and faults are set, and the answer says what was and what is', () => {
  const { processor, ask } = setUp();
  const delay = ask('PUT', '/admin/configurations/delay', { delay: 250 });
  assert.equal(delay.body, '{"config":"delay","was":0,"is":250}');
  const failure = ask('PUT', '/admin/configurations/failure', { failure: true });
  assert.equal(failure.body, '{"config":"failure","was":false,"is":true}');
  const faults = JSON.parse(ask('PUT', '/admin/configurations/faults', { answerLost: 0.1 }).body);
  assert.deepEqual([faults.config, faults.was.answerLost, faults.is.answerLost], ['faults', 0, 0.1]);
  assert.equal(ask('PUT', '/admin/configurations/faults', { explode: 1 }).status, 400);
  assert.equal(ask('PUT', '/admin/configurations/delay', { delay: -1 }).status, 400);
  assert.equal(ask('PUT', '/admin/configurations/failure', '').status, 400);
  assert.equal(ask('PUT', '/admin/configurations/delay', { delay: 1 }, { contentType: '' }).status, 415);
  assert.deepEqual([processor.delayMs, processor.failing, processor.faults.answerLost], [250, true, 0.1]);
  const state = JSON.parse(ask('GET', '/admin/configurations').body);
  assert.deepEqual(
    [state.name, state.delay, state.failure, state.faults.answerLost],
    ['default', 250, true, 0.1],
  );
});

test('a purge forgets the payments', () => {
  const { ask, pay } = setUp();
  pay('19.90');
  assert.equal(ask('POST', '/admin/purge-payments').status, 200);
  assert.equal(ask('GET', `/payments/${ID}`).status, 404);
  assert.equal(pay('19.90'), 200);
});

test('what was recorded is listed in order, part by part', () => {
  const { ask, pay } = setUp();
  for (let number = 0; number < 5; number++) pay(`${number}.5`, AT, `${ID.slice(0, -1)}${number}`);
  const list = (query: string): { seq: number; amount: number }[] =>
    ask('GET', `/admin/payments${query}`)
      .body.split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line));
  assert.deepEqual(list('?limit=1'), [
    { seq: 1, correlationId: `${ID.slice(0, -1)}0`, amount: 0.5, requestedAt: AT },
  ]);
  assert.deepEqual(
    list('?after=3').map(({ seq, amount }) => [seq, amount]),
    [
      [4, 3.5],
      [5, 4.5],
    ],
  );
  assert.deepEqual(list('?after=5'), []);
  assert.equal(ask('GET', '/admin/payments?after=-1').status, 400);
});
