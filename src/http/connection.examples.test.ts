import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readExamples } from '../testing/examples.ts';
import { answersIn, type ConnectionOutput, DOOR, driveConnection, FakePayments } from '../testing/http.ts';
import { OperationsDoor } from './operations-door.ts';
import { routes } from './routes.ts';

const run = (pieces: Buffer[], ends = false): Promise<ConnectionOutput> =>
  driveConnection(pieces, {
    handler: routes({ payments: new FakePayments(), allowPurge: false, door: new OperationsDoor(DOOR) }),
    ends,
  });

/** The output without interim answers, which may come or not. */
const final = (driven: ConnectionOutput): string =>
  driven.output.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '');

const GOOD = Buffer.from('GET /health?good HTTP/1.1\r\nHost: a\r\n\r\n');

for (const { name, bytes, ends, answers } of readExamples()) {
  const closes = answers.at(-1)!.closes;
  test(`example: ${name}`, async () => {
    const whole = await run([bytes], ends);
    const seen = answersIn(final(whole));
    assert.deepEqual(
      seen.map(({ status }) => status),
      answers.map(({ status }) => status),
      whole.output,
    );
    for (const [at, expected] of answers.entries()) {
      const { head, body } = seen[at]!;
      assert.equal(/^Connection: close\r$/m.test(head), expected.closes, head);
      assert.match(head, /^Date: Fri, 10 Jul 2026 12:34:56 GMT\r$/m);
      if (expected.isEmpty) assert.equal(body, '');
      for (const part of expected.contains)
        assert.ok((head + body).includes(part), `${part} in ${head}${body}`);
      for (const part of expected.lacks)
        assert.ok(!(head + body).includes(part), `${part} not in ${head}${body}`);
      if (expected.status >= 400) assert.match(head, /^Content-Type: application\/problem\+json\r$/m);
      if (expected.status >= 400 && !expected.isEmpty) {
        const problem = JSON.parse(body) as Record<string, unknown>;
        assert.deepEqual(Object.keys(problem), ['type', 'title', 'status', 'detail']);
        assert.equal(problem['status'], expected.status);
      }
    }
    assert.equal(whole.phase, closes || ends ? 'ending' : 'open');

    // Cut in two at every byte; of very long ones, at every byte near an end and at some between.
    const step = bytes.length > 1000 ? 997 : 1;
    for (let cut = 1; cut < bytes.length; cut += cut < 100 || bytes.length - cut < 100 ? 1 : step) {
      const halves = [bytes.subarray(0, cut), bytes.subarray(cut)];
      assert.equal(final(await run(halves, ends)), final(whole), `cut at byte ${cut}`);
    }
    const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    assert.equal(final(await run(single, ends)), final(whole), 'byte by byte');

    const good = (await run([GOOD])).output;
    assert.equal(
      final(await run([Buffer.concat([GOOD, bytes])], ends)),
      good + final(whole),
      'behind a request',
    );
    if (ends) return;
    const followed = final(await run([Buffer.concat([bytes, GOOD])]));
    assert.equal(followed, final(whole) + (closes ? '' : good), 'with a request behind it');
    const later = final(await run([bytes, GOOD]));
    assert.equal(later, final(whole) + (closes ? '' : good), 'with a later request behind it');
  });
}
