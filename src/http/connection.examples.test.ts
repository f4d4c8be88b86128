import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXAMPLES, exampleBytes } from './fuzz-inputs.ts';
import { routes } from './routes.ts';
import { answersIn, type Driven, drive, FakePayments } from './testing.ts';

interface Expected {
  readonly status: number;
  readonly closes: boolean;
  readonly isEmpty: boolean;
  readonly contains: readonly string[];
  readonly lacks: readonly string[];
}

interface Example {
  readonly title: string;
  readonly bytes: Buffer;
  /** The client ends its side behind the bytes. */
  readonly ends: boolean;
  readonly answers: readonly Expected[];
}

function readExamples(): Example[] {
  const examples: Example[] = [];
  const form = /^### (.+)\n\n```bytes\n([\s\S]*?)\n```\n\n```answers\n([\s\S]*?)\n```$/gm;
  for (const [, title, bytes, answers] of EXAMPLES.matchAll(form)) {
    const ends = bytes!.endsWith('\\end');
    examples.push({
      title: title!,
      ends,
      bytes: exampleBytes(bytes!),
      answers: answers!.split('\n').map(expectedOf),
    });
  }
  assert.equal(examples.length, EXAMPLES.match(/^### /gm)?.length, 'every heading of level 3 is an example');
  return examples;
}

function expectedOf(line: string): Expected {
  const quoted = /(!?)("(?:[^"\\]|\\.)*")/g;
  const words = line.replace(quoted, '').split(' ');
  const texts = [...line.matchAll(quoted)].map(([, sign, text]) => ({
    sign,
    text: JSON.parse(text!) as string,
  }));
  return {
    status: Number(words[0]),
    closes: words.includes('close'),
    isEmpty: words.includes('empty'),
    contains: texts.filter(({ sign }) => sign === '').map(({ text }) => text),
    lacks: texts.filter(({ sign }) => sign === '!').map(({ text }) => text),
  };
}

const run = (pieces: Buffer[], ends = false): Promise<Driven> =>
  drive(pieces, { handler: routes({ payments: new FakePayments(), allowPurge: false }), ends });

/** The output without interim answers, which may come or not. */
const final = (driven: Driven): string => driven.output.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '');

const GOOD = Buffer.from('GET /health?good HTTP/1.1\r\nHost: a\r\n\r\n');

const examples = readExamples();

for (const { title, bytes, ends, answers } of examples) {
  const closes = answers.at(-1)!.closes;
  test(`example: ${title}`, async () => {
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
      if (expected.status >= 400) {
        assert.match(head, /^Content-Type: application\/problem\+json\r$/m);
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
