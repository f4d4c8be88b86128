import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { idTextWords, type Processor } from '../domain/payment.ts';
import { serveProcessor } from '../processor-simulator/listener.ts';
import { TOKEN } from '../processor-simulator/token.ts';
import { type Booked, signedDecimal } from './reconciliation.ts';
import { auditPayments, auditSent, auditSums } from './run.ts';
import { CannotAsk, Sources } from './sources.ts';

const AT_MS = Date.parse('2026-07-10T12:34:56.000Z');
const id = (number: number): string => `4a7901b8-7d26-4d9d-aa19-${String(number).padStart(12, '0')}`;
const at = (ms: number): string => new Date(ms).toISOString();

/** As much of soquete as an auditor sees: payments by id, and sums of those that are settled. */
async function serveBooks(t: TestContext, books: Map<string, Booked>): Promise<string> {
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://x');
    const answer = (status: number, text: string): void => {
      response.writeHead(status).end(text);
    };
    if (url.pathname === '/payments-summary') {
      const [from, to] = ['from', 'to'].map(name => Date.parse(url.searchParams.get(name)!)) as [
        number,
        number,
      ];
      const sum = (processor: Processor): string => {
        const inside = [...books.values()].filter(
          ({ status, processor: by, requestedAtMs }) =>
            status === 'settled' && by === processor && requestedAtMs! >= from && requestedAtMs! <= to,
        );
        const cents = inside.reduce((so, payment) => so + payment.cents, 0n);
        return `{"totalRequests":${inside.length},"totalAmount":${signedDecimal(cents)}}`;
      };
      return answer(200, `{"default":${sum('default')},"fallback":${sum('fallback')}}`);
    }
    const payment = books.get(url.pathname.slice('/payments/'.length));
    if (payment === undefined) return answer(404, '{}');
    const { cents, status, processor, requestedAtMs, attempts } = payment;
    const requestedAt = requestedAtMs === null ? null : at(requestedAtMs);
    const rest = JSON.stringify({ status, processor, requestedAt, attempts });
    return answer(200, `{"amount":${signedDecimal(cents)},${rest.slice(1)}`);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise(resolve => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** All three parties, and a way to write into their books. Every sum is 19.90. */
async function setUp(t: TestContext) {
  const books = new Map<string, Booked>();
  const theirs = [await serveProcessor(0, 0), await serveProcessor(1, 0)] as const;
  const url = await serveBooks(t, books);
  const addresses = { url, default: theirs[0].url, fallback: theirs[1].url, token: TOKEN };
  const sources = new Sources(addresses);
  t.after(async () => {
    await sources.close();
    await Promise.all(theirs.map(server => server.close()));
  });
  const record = (number: number, on: Processor, cents = 1990): void => {
    const { book } = theirs[on === 'default' ? 0 : 1].processor;
    book.record(idTextWords(id(number)), cents, AT_MS + number);
  };
  const book = (number: number, more: Partial<Booked> = {}): void => {
    const settled: Booked = {
      cents: 1990n,
      status: 'settled',
      processor: 'default',
      requestedAtMs: AT_MS + number,
      attempts: 1,
    };
    books.set(id(number), { ...settled, ...more });
  };
  const options = ['--url', url, '--default', theirs[0].url, '--fallback', theirs[1].url];
  return { sources, addresses, record, book, options };
}

test('books that agree are found to agree, as sums and one by one', async t => {
  const { sources, record, book } = await setUp(t);
  for (let number = 0; number < 5000; number++) {
    const processor = number % 10 === 0 ? 'fallback' : 'default';
    record(number, processor);
    book(number, { processor });
  }
  const sums = await auditSums(sources);
  assert.equal(sums.agree, true);
  assert.deepEqual(
    sums.lines.map(({ ours, theirs }) => [ours, theirs.count, theirs.fee]),
    [
      [{ count: 4500, cents: 8_955_000n }, 4500, '4477.50'],
      [{ count: 500, cents: 995_000n }, 500, '1492.50'],
    ],
  );
  const window = await auditSums(sources, { fromMs: AT_MS + 10, toMs: AT_MS + 19 });
  assert.deepEqual(
    window.lines.map(({ ours, difference }) => [ours.count, difference.count]),
    [
      [9, 0],
      [1, 0],
    ],
  );
  const payments = await auditPayments(sources);
  assert.deepEqual([payments?.agree, payments?.examined], [true, 5000]);
});

test('each kind of difference is named, once for each payment, and explains the sums', async t => {
  const { sources, record, book } = await setUp(t);
  record(1, 'default');
  book(1);
  record(2, 'default'); // settled twice, booked on either
  record(2, 'fallback');
  book(2);
  record(3, 'default');
  record(3, 'fallback');
  book(3, { processor: 'fallback' });
  record(4, 'default'); // recorded, but waiting here
  book(4, { status: 'queued' });
  record(5, 'fallback'); // unknown here
  record(6, 'default', 1991); // another amount
  book(6);
  record(7, 'default'); // booked on the wrong one
  book(7, { processor: 'fallback' });
  record(8, 'default'); // settled twice and another amount
  record(8, 'fallback');
  book(8, { cents: 1n });
  book(9); // recorded by no one: in no list

  const payments = await auditPayments(sources);
  assert.deepEqual(
    { ...payments!.counts },
    { twice: 3, lost: 1, unknown: 1, absent: 0, amount: 1, instant: 0, queued: 1, 'by hand': 0 },
  );
  const { lines } = await auditSums(sources);
  const open = lines.map(({ processor, difference }) => ({
    processor,
    count: difference.count - payments!.explained[processor].count,
    cents: difference.cents - payments!.explained[processor].cents,
  }));
  assert.deepEqual(open, [
    { processor: 'default', count: -1, cents: -1990n },
    { processor: 'fallback', count: 0, cents: 0n },
  ]);

  const sent = await auditSent(sources, [id(1), id(9), id(10)]);
  assert.deepEqual([sent.examined, sent.counts.lost, sent.counts.absent], [3, 1, 1]);
});

test('one who does not answer is named, with what to mend', async t => {
  const { addresses } = await setUp(t);
  const gone = new Sources({ ...addresses, fallback: 'http://127.0.0.1:1' });
  await assert.rejects(auditSums(gone), (error: Error) => {
    assert.ok(error instanceof CannotAsk);
    assert.match(
      error.message,
      /fallback does not answer at http:\/\/127.0.0.1:1 .*ECONNREFUSED.*--fallback/,
    );
    return true;
  });
  await gone.close();
  const stranger = new Sources({ ...addresses, token: 'x' });
  await assert.rejects(auditSums(stranger), /--token/);
  await stranger.close();
  assert.throws(() => new Sources({ ...addresses, url: 'nowhere' }), CannotAsk);
});

const command = (options: readonly string[]): Promise<{ code: number; output: string }> =>
  new Promise(resolve => {
    const script = join(import.meta.dirname, 'main.ts');
    execFile(process.execPath, [script, ...options], (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), output: stdout + stderr });
    });
  });

test('the command exits with 0 when all agrees, 1 when not, 2 when it cannot ask', async t => {
  const { options, record, book } = await setUp(t);
  const directory = await mkdtemp(join(tmpdir(), 'audit-'));
  t.after(() => rm(directory, { recursive: true }));
  const sent = join(directory, 'sent.txt');
  await writeFile(sent, `${id(1)}\n${id(2)}\n`);
  record(1, 'default');
  book(1);
  const agree = await command([...options, '--ids']);
  assert.match(agree.output, /agree to the cent/);
  assert.match(agree.output, /1 payments? examined/);
  assert.equal(agree.code, 0);

  book(2);
  const differ = await command([...options, '--sent', sent]);
  assert.match(differ.output, /DIFFER/);
  assert.match(differ.output, /is in none of them/);
  assert.match(differ.output, new RegExp(`${id(2)}  soquete: 19.90 settled on default`));
  assert.equal(differ.code, 1);
  const inWindow = await command([...options, '--to', at(AT_MS + 1)]);
  assert.equal(inWindow.code, 0);

  for (const wrong of [
    ['--url', 'http://127.0.0.1:1'],
    ['--from', 'x'],
    ['--what'],
    ['--sent', '/nowhere'],
  ]) {
    const { code, output } = await command([...options, ...wrong]);
    assert.equal(code, 2, output);
    assert.doesNotMatch(output, / {4}at /, 'a line, not a stack trace');
  }
});
