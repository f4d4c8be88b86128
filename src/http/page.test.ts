import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakePayments, takeText } from '../testing/http.ts';
import { Connection } from './connection.ts';
import { sharedPageMs } from './limits.ts';
import { type Page, PageMakers, sharedForms, sharedPage } from './page.ts';
import { PageTurns } from './page-turns.ts';
import { Request } from './request.ts';
import type { Answer } from './response.ts';
import { routes } from './routes.ts';
import { codingFor } from './static-page.ts';

const text = (body: string): Page => ({ status: 200, contentType: 'text/plain', body });
const bodyOf = async (answer: Answer | Promise<Answer>): Promise<string> => String((await answer).bytes);
const request = new Request();

test('a page for all is made at most four times a second, however many ask, and all get the latest', async () => {
  let nowMs = 0;
  let made = 0;
  const makings: (() => void)[] = [];
  const ask = sharedPage(
    () => {
      const page = text(String(++made));
      return new Promise(resolve => makings.push(() => resolve(page)));
    },
    () => nowMs,
  )(request);
  const early = [ask(), ask()];
  nowMs = 5 * sharedPageMs;
  const late = ask();
  assert.equal(made, 1, 'one that is being made is not made again, however long that takes');
  makings[0]!();
  assert.deepEqual(await Promise.all([...early, late].map(bodyOf)), ['1', '1', '1']);
  const next = ask();
  assert.equal(made, 2);
  makings[1]!();
  assert.equal(await bodyOf(next), '2');
  nowMs += sharedPageMs - 1;
  assert.equal(await bodyOf(ask()), '2');
  nowMs += 1;
  assert.ok(ask() instanceof Promise);
  assert.equal(made, 3);
});

test('a page that cannot be made fails for all who ask, and is tried again no sooner than it would be made', async () => {
  let nowMs = 0;
  let made = 0;
  const ask = sharedPage(
    async () => {
      made++;
      if (made === 1) throw new Error('away');
      return text('here');
    },
    () => nowMs,
  )(request);
  await assert.rejects(async () => ask(), /away/);
  await assert.rejects(async () => ask(), /away/);
  nowMs = sharedPageMs;
  assert.equal(await bodyOf(ask()), 'here');
  assert.equal(made, 2);
});

test('the forms of a page are made together', async () => {
  let made = 0;
  const handler = sharedForms(
    query => (query === 'short' ? 'short' : 'long'),
    async () => ({ short: text(`${++made}`), long: text(`${made} in full`) }),
    () => 0,
  );
  const asked = (query: string) => {
    const bytes = Buffer.from(`/?${query}`);
    return handler(Object.assign(new Request(), { bytes, targetEnd: bytes.length }))();
  };
  assert.deepEqual(await Promise.all(['short', 'x', 'short'].map(query => bodyOf(asked(query)))), [
    '1',
    '1 in full',
    '1',
  ]);
});

test('pages for single requests are made a few at a time, in the order in which they were asked for', async () => {
  const ends: ((body: string) => void)[] = [];
  const makers = new PageMakers(2);
  const handler = makers.handler(
    () =>
      new Promise((resolve, reject) => {
        ends.push(body => (body === 'fails' ? reject(new Error(body)) : resolve(text(body))));
      }),
  );
  const answers = [1, 2, 3, 4].map(() => Promise.resolve(handler(request)()));
  assert.equal(ends.length, 2);
  ends[1]!('fails');
  await assert.rejects(answers[1]!, /fails/);
  assert.equal(ends.length, 3, 'a failure leaves its place to the next');
  ends[0]!('one');
  assert.equal(await bodyOf(answers[0]!), 'one');
  assert.equal(ends.length, 4);
  ends[2]!('three');
  ends[3]!('four');
  assert.deepEqual(await Promise.all(answers.slice(2).map(bodyOf)), ['three', 'four']);
  const again = [handler(request)(), handler(request)()];
  assert.equal(ends.length, 6, 'all places are free again');
  ends[4]!('five');
  ends[5]!('six');
  await Promise.all(again);
});

test('of a thousand pages that are asked for in a turn few are answered in it, and a payment is', async () => {
  let endTurn: (() => void) | undefined;
  let shown = 0;
  const payments = new FakePayments();
  const turns = new PageTurns(8, run => {
    assert.equal(endTurn, undefined, 'one look at the end of a turn is enough');
    endTurn = run;
  });
  const shared = sharedPage(
    async () => text('page'),
    () => 0,
  );
  const page = (asked: Request) => {
    const make = shared(asked);
    return () => {
      shown++;
      return make();
    };
  };
  const handler = routes({ payments, allowPurge: false, pages: { '/': page }, pageTurns: turns });
  const turn = { batch: 1, waiting: 0, heldBytes: 0 };
  const send = (connection: Connection, text: string): void => {
    const bytes = Buffer.from(text);
    connection.receive(bytes, 0, bytes.length, 0);
  };
  const pages = Array.from({ length: 1000 }, () => new Connection(handler, turn, 0));
  for (const connection of pages) send(connection, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2));
  const payer = new Connection(handler, turn, 0);
  const body = '{"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":19.90}';
  send(payer, `POST /payments HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  payer.decide(1, true);
  assert.match(takeText(payer), /^HTTP\/1.1 202 /);
  assert.equal(shown, 8);
  const nextTurn = async (): Promise<void> => {
    const run = endTurn!;
    endTurn = undefined;
    run();
    for (let ticks = 0; ticks < 10; ticks++) await Promise.resolve();
  };
  for (let passed = 2; passed <= 125; passed++) {
    await nextTurn();
    assert.equal(shown, 8 * passed);
  }
  for (const connection of pages) assert.match(takeText(connection), /page$/);
});

test('the coding of a page is the one that is wanted most, and of equals the shortest', () => {
  const expected: readonly (readonly [string | undefined, string])[] = [
    [undefined, 'identity'],
    ['', 'identity'],
    ['gzip', 'gzip'],
    ['GZIP, deflate, br', 'br'],
    ['gzip;q=1.0, br;q=0.5', 'gzip'],
    ['br;q=0, gzip;q=0', 'identity'],
    ['*', 'br'],
    ['*;q=0', 'identity'],
    ['gzip;q=0, *', 'br'],
    ['identity;q=0.5, gzip;q=0.4', 'identity'],
    ['identity, gzip;q=0', 'identity'],
    ['gzip;q=nonsense', 'identity'],
    ['zstd', 'identity'],
    ['gzip ; q=0.3', 'gzip'],
  ];
  for (const [accept, coding] of expected) assert.equal(codingFor(accept), coding, String(accept));
});
