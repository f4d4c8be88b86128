/** `npm run payments` and `npm run audit -- --fix` against a whole stack, as an operator uses them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { idTextWords } from '../domain/payment.ts';
import { type ProcessorServer, serveProcessor } from '../processor-simulator/listener.ts';
import { type RunningStack, startStack } from '../testing/stack.ts';
import { until } from '../testing/until.ts';

const program = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const AT_MS = Date.parse('2026-07-10T12:34:56.789Z');
let processors: readonly [ProcessorServer, ProcessorServer];
let stack: RunningStack;

before(async () => {
  processors = [await serveProcessor(0, 0), await serveProcessor(1, 0)];
  stack = await startStack({
    env: { PROCESSOR_DEFAULT_URL: processors[0].url, PROCESSOR_FALLBACK_URL: processors[1].url },
  });
});

after(async () => {
  await stack?.[Symbol.asyncDispose]();
  await Promise.all((processors ?? []).map(processor => processor.close()));
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const run = (path: string, args: readonly string[], input = ''): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program(path), ...args], { stdio: 'pipe' });
    let [out, err] = ['', ''];
    child.stdout.on('data', data => (out += data));
    child.stderr.on('data', data => (err += data));
    child.on('error', reject).on('close', code => resolve({ code: code ?? -1, out, err }));
    child.stdin.end(input);
  });

/** An act waits for its turn while an attempt is on its way. */
async function payments(...args: string[]): Promise<Ended> {
  let ended: Ended | undefined;
  await until(async () => {
    ended = await run('./main.ts', ['--url', stack.url, '--by', 'ana', ...args]);
    return !ended.out.includes('on its way');
  }, 'an attempt to end');
  return ended!;
}

const audit = (args: readonly string[], input = ''): Promise<Ended> => {
  const [byDefault, byFallback] = processors.map(({ url }) => url) as [string, string];
  const where = ['--url', stack.url, '--default', byDefault, '--fallback', byFallback];
  return run('../audit/main.ts', [...where, '--by', 'ana', ...args], input);
};

async function pay(amount: number): Promise<string> {
  const correlationId = randomUUID();
  const body = JSON.stringify({ correlationId, amount });
  const { status } = await fetch(`${stack.url}/payments`, { method: 'POST', body });
  assert.equal(status, 202);
  return correlationId;
}

const look = async (id: string): Promise<Record<string, unknown>> =>
  (await (await fetch(`${stack.url}/payments/${id}`)).json()) as Record<string, unknown>;

const settled = (id: string): Promise<void> =>
  until(async () => (await look(id))['status'] === 'settled', `${id} to be settled`);

const record = (on: 0 | 1, id: string, cents: number): boolean =>
  processors[on].processor.book.record(idTextWords(id), cents, AT_MS);

function fail(failing: boolean): void {
  for (const { processor } of processors) processor.failing = failing;
}

test('a payment is closed by hand, is never sent again, and its time line says who did it and why', async () => {
  fail(true);
  const id = await pay(19.9);
  const closed = await payments('close', id, '--reason', 'the client went away');
  assert.equal(closed.code, 0, closed.out + closed.err);
  assert.match(closed.out, /default has no record of it; fallback has no record of it\. Closed/);
  const { status, reason } = await look(id);
  assert.deepEqual([status, reason], ['closed', 'the client went away']);
  fail(false);
  const other = await pay(1);
  await settled(other);
  assert.equal((await look(id))['status'], 'closed');
  assert.match((await payments('show', id)).out, /closed by ana: the client went away/);
  const again = await payments('close', id, '--reason', 'once more');
  assert.deepEqual([again.code, again.out], [1, 'it is closed\n']);
});

test('a settlement by hand is booked as the processor has it, and the audit agrees', async () => {
  fail(true);
  const id = await pay(5.55);
  record(1, id, 555);
  const wrong = await payments('settle', id, '--on', 'default', '--reason', 'seen in its list');
  assert.equal(wrong.code, 1);
  assert.match(wrong.out, /default has no record of it; fallback has it with 5\.55 .* Nothing was done/);
  const refused = await payments('close', id, '--reason', 'gone');
  assert.equal(refused.code, 1);
  assert.match(refused.out, /settle it --on fallback/);
  const right = await payments('settle', id, '--on', 'fallback', '--reason', 'seen in its list');
  assert.equal(right.code, 0, right.out + right.err);
  const { status, processor, requestedAt } = await look(id);
  assert.deepEqual([status, processor, requestedAt], ['settled', 'fallback', '2026-07-10T12:34:56.789Z']);
  fail(false);
  assert.equal((await audit(['--ids'])).code, 0);
});

test('a wrong amount is booked only by who knows of it; the audit counts it as decided', async () => {
  fail(true);
  const id = await pay(0.01);
  record(1, id, 999_999);
  const settle = ['settle', id, '--on', 'fallback', '--reason', 'the processor will refund'];
  const refused = await payments(...settle);
  assert.equal(refused.code, 1);
  assert.match(refused.out, /fallback has it with 9999\.99 .*the amounts differ \(0\.01 here\)/);
  const done = await payments(...settle, '--anyway');
  assert.equal(done.code, 0, done.out + done.err);
  fail(false);
  const { code, out } = await audit([]);
  assert.match(out, /1 other than a processor has it, as an operator decided/);
  assert.match(out, /Apart from what operators decided, the books agree to the cent/);
  assert.equal(code, 0);
});

test('the audit proposes an act for each difference, and does those that are agreed to', async () => {
  const ids = [await pay(7), await pay(8)];
  await Promise.all(ids.map(settled));
  const before = await Promise.all(ids.map(look));
  const { book } = processors[0].processor;
  const unknown = randomUUID();
  book.clear();
  record(0, unknown, 4242);
  const onFallback = randomUUID();
  record(1, onFallback, 4343);
  const found = await audit([]);
  assert.equal(found.code, 1);
  assert.match(found.out, /\d+ booked by soquete, but not recorded by that processor/);
  const refused = await audit(['--fix'], 'n\n');
  assert.match(refused.out, /\d+ acts proposed, 0 done/);
  const fixed = await audit(['--fix'], 'y\n'.repeat(20));
  assert.match(
    fixed.out,
    /send it to default once more[\s\S]*Sent there once more with the booked requestedAt: processed/,
  );
  await settled(unknown);
  await settled(onFallback);
  assert.equal((await look(onFallback))['processor'], 'fallback');
  assert.equal((await look(unknown))['amount'], 42.42);
  assert.deepEqual(await Promise.all(ids.map(look)), before);
  const { code, out } = await audit([]);
  assert.equal(code, 0, out);
  assert.match(
    (await payments('show', ids[0]!)).out,
    /sent to its processor once more by ana: audit: booked/,
  );
});

test('a payment that only fallback knows is taken in, and goes nowhere else', async () => {
  const id = randomUUID();
  const reason = ['--reason', 'the store is an older copy'];
  const nobody = await payments('take-in', id, ...reason);
  assert.deepEqual([nobody.code, /no processor has it/.test(nobody.out)], [1, true], nobody.out);
  record(1, id, 777);
  const taken = await payments('take-in', id, ...reason);
  assert.equal(taken.code, 0, taken.out + taken.err);
  assert.match(taken.out, /fallback has it with 7\.77 .*Taken in: it is booked on fallback/);
  await settled(id);
  const { amount, processor, requestedAt } = await look(id);
  assert.deepEqual([amount, processor, requestedAt], [7.77, 'fallback', '2026-07-10T12:34:56.789Z']);
  assert.match((await payments('show', id)).out, /taken in by ana: the store is an older copy/);
  assert.equal((await payments('take-in', id, ...reason)).code, 1, 'it is known now');
  const both = randomUUID();
  record(0, both, 5);
  record(1, both, 5);
  const refused = await payments('take-in', both, ...reason);
  assert.deepEqual([refused.code, /both have it/.test(refused.out)], [1, true], refused.out);
});

test('what cannot be done is said in one line, and nothing changes', async () => {
  const id = await pay(3);
  await settled(id);
  const cases: [string[], number, RegExp][] = [
    [[], 2, /^payments: say what to do: held, show, retry, settle, close/],
    [['close'], 2, /^payments: close needs the ID of one payment\n$/],
    [['close', id], 2, /^payments: close needs --reason TEXT/],
    [['take-in', id], 2, /^payments: take-in needs --reason TEXT/],
    [['settle', id, '--reason', 'x'], 2, /^payments: settle needs --on default or --on fallback\n$/],
    [['retry', id, '--on', 'default'], 2, /go with settle, not with retry/],
    [['close', 'abc', '--reason', 'x'], 2, /^payments: there is no abc/],
    [['show', randomUUID()], 1, /soquete knows no payment/],
    [['close', randomUUID(), '--reason', 'x'], 1, /soquete knows no payment/],
    [['close', id, '--reason', 'x'], 1, /it is settled/],
    [['close', id, '--reason', 'x'.repeat(501)], 1, /reason says why, in at most 500 bytes/],
    [['retry', id], 1, /default has it with 3\.00 .*nothing is to be tried again/],
    [['held'], 0, /^No payment is held\.\n$/],
  ];
  for (const [args, code, said] of cases) {
    const ended = await payments(...args);
    assert.equal(ended.code, code, `${args.join(' ')}: ${ended.out}${ended.err}`);
    assert.match(ended.out + ended.err, said);
  }
  assert.equal((await look(id))['status'], 'settled');
  const nobody = await run('./main.ts', ['--url', 'http://127.0.0.1:1', 'held']);
  assert.equal(nobody.code, 2);
  assert.match(nobody.err, /^payments: soquete does not answer at http:\/\/127\.0\.0\.1:1 /);
});
