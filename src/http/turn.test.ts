import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCEPTED, CONFLICT, type Kept, UNAVAILABLE } from '../payments/api.ts';
import { answersIn, FakePayments, takeText } from '../testing/http.ts';
import type { Committed } from './answer-ring.ts';
import { Connection, type Turn } from './connection.ts';
import { commitOf, routes } from './routes.ts';

const pay = (place: number, amount = '19.90'): string => {
  const body = `{"correlationId":"4a7901b8-7d26-4d9d-aa19-00000000000${place}","amount":${amount}}`;
  return `POST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};
const HEALTH = 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n';

/** Connections that are read in one turn, and what the payments side says of it. */
function turnOf(connectionCount: number) {
  const payments = new FakePayments();
  const waiting: number[] = [];
  payments.commit = (count: number): Kept | Promise<Kept> => {
    waiting.push(count);
    return payments.commitResult;
  };
  const turn: Turn = { batch: 1, waiting: 0, heldBytes: 0 };
  const handler = routes({ payments, allowPurge: false });
  const connections = Array.from({ length: connectionCount }, () => new Connection(handler, turn, 0));
  return {
    payments,
    turn,
    waiting,
    send(to: number, text: string) {
      const bytes = Buffer.from(text, 'latin1');
      connections[to]!.receive(bytes, 0, bytes.length, 0);
    },
    /** As the server does it at the end of a turn; the number of the commit. */
    commit(): [number, Committed | Promise<Committed>] {
      const { waiting: count } = turn;
      turn.waiting = 0;
      return [turn.batch++, commitOf(payments)(count)];
    },
    decide(batch: number, committed: Committed) {
      for (const connection of connections) connection.decide(batch, committed);
    },
    output: (of: number) => takeText(connections[of]!),
    statuses: (of: number) => answersIn(takeText(connections[of]!)).map(({ status }) => status),
  };
}

test('places count through the connections of a turn, in the order of the payments that were accepted', () => {
  const stand = turnOf(2);
  stand.send(0, pay(1) + HEALTH + pay(2));
  stand.send(1, pay(3));
  stand.send(1, pay(4, '0') + pay(5));
  stand.send(0, pay(6));
  stand.payments.commitResult = place =>
    ([ACCEPTED, CONFLICT, UNAVAILABLE, ACCEPTED, CONFLICT] as const)[place]!;
  const [batch, committed] = stand.commit();
  assert.deepEqual(stand.waiting, [5]);
  stand.decide(batch, committed as Committed);
  assert.deepEqual(stand.statuses(0), [202, 200, 409, 409]);
  assert.deepEqual(stand.statuses(1), [503, 422, 202]);
});

test('places begin anew with each turn, also where an earlier one is not decided yet', () => {
  const stand = turnOf(2);
  stand.send(0, pay(1));
  stand.send(1, pay(2));
  const [first] = stand.commit();
  stand.send(0, pay(3));
  stand.send(1, pay(4));
  const [second] = stand.commit();
  assert.deepEqual(stand.waiting, [2, 2]);
  stand.decide(second, place => (place === 0 ? undefined : CONFLICTING));
  assert.deepEqual([stand.statuses(0), stand.statuses(1)], [[], []], 'the first turn is not decided');
  stand.decide(first, place => (place === 1 ? undefined : CONFLICTING));
  assert.deepEqual(
    [stand.statuses(0), stand.statuses(1)],
    [
      [409, 202],
      [202, 409],
    ],
  );
});

const CONFLICTING = await (async () => {
  const decided = await commitOf({ commit: () => () => CONFLICT })(1);
  assert.ok(typeof decided === 'function');
  return decided(0)!;
})();

test('what was kept is said as answers: none in place of a 202, else 409 or 503 with Retry-After', async () => {
  const kept: Kept = place => ([ACCEPTED, CONFLICT, UNAVAILABLE] as const)[place]!;
  for (const result of [kept, Promise.resolve(kept)]) {
    const committed = await commitOf({ commit: () => result })(3);
    assert.ok(typeof committed === 'function');
    assert.deepEqual(
      [0, 1, 2].map(place => committed(place)?.status),
      [undefined, 409, 503],
    );
  }
  for (const whole of [true, false]) {
    assert.equal(commitOf({ commit: () => whole })(1), whole);
    assert.equal(await commitOf({ commit: () => Promise.resolve(whole) })(1), whole);
  }
});

test('a payment that is too much is refused with the seconds after which it may come again', () => {
  const stand = turnOf(1);
  stand.payments.isFull = true;
  stand.send(0, pay(1));
  stand.payments.waitSeconds = 3;
  stand.send(0, pay(2));
  const said = stand.output(0);
  assert.deepEqual(said.match(/Retry-After: \d+/g), ['Retry-After: 17', 'Retry-After: 3']);
  assert.match(said, /^HTTP\/1\.1 503 /);
});

test('a turn of which nothing was kept is answered with 503 as a whole', () => {
  const stand = turnOf(1);
  stand.send(0, pay(1) + HEALTH + pay(2));
  stand.payments.commitResult = false;
  const [batch, committed] = stand.commit();
  stand.decide(batch, committed as Committed);
  assert.deepEqual(stand.statuses(0), [503, 200, 503]);
});
