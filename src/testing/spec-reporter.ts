/**
 * The spec reporter of node:test, with one list before its summary: what was not tested here, and why. A
 * thousand lines hide the tests that were skipped for want of HAProxy, a browser or promtool.
 */
import { Readable } from 'node:stream';
import { spec, type TestEvent } from 'node:test/reporters';

export default async function* report(events: AsyncIterable<TestEvent>): AsyncIterable<string> {
  yield* Readable.from(withSkipped(events)).compose(new spec());
}

async function* withSkipped(events: AsyncIterable<TestEvent>): AsyncIterable<TestEvent> {
  /** Names of skipped tests by the reason that they give. */
  const skipped = new Map<string, string[]>();
  for await (const event of events) {
    const { type, data } = event;
    if (type === 'test:pass' && data.skip !== undefined) {
      const reason = typeof data.skip === 'string' && data.skip !== '' ? data.skip : 'no reason is given';
      skipped.set(reason, [...(skipped.get(reason) ?? []), data.name]);
    }
    if (type === 'test:diagnostic' && data.nesting === 0 && /^tests \d/.test(data.message)) {
      yield { type: 'test:stdout', data: { file: '', message: listOf(skipped) } };
    }
    yield event;
  }
}

const listOf = (skipped: ReadonlyMap<string, readonly string[]>): string =>
  [...skipped].map(([reason, names]) => `Not tested here: ${reason}\n${names.map(line).join('')}\n`).join('');

const line = (name: string): string => `  ${name}\n`;
