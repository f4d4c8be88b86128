import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AT_STAKE_MIN, beginAnew, differenceOf, loseBooks, loseDisk, losePower } from './disasters.ts';
import type { Findings } from './harness.ts';
import { noLoopDisk } from './loop-disk.ts';
import { markedRows, ROWS } from './promises.ts';

const said: string[] = [];
const options = {
  payments: 1200,
  connections: 8,
  seed: 7,
  say: (line: string) => void said.push(line),
};

/**
 * What soquete remembers is settled exactly once, and the sums differ by nothing but what it has forgotten.
 */
function assertExact({ sent, recorded, lost }: Findings): void {
  const text = said.join('\n');
  assert.equal(recorded.counts.twice, 0, text);
  assert.equal(sent.counts.unknown + sent.counts.absent, lost.length, text);
  for (const verdict of ['lost', 'amount', 'instant', 'queued'] as const) {
    assert.equal(sent.counts[verdict] + recorded.counts[verdict], 0, `${verdict}\n${text}`);
  }
}

test('with ACK_AFTER=flush a power loss costs nothing', { skip: noLoopDisk }, async () => {
  const findings = await losePower('flush', options);
  assertExact(findings);
  assert.deepEqual(findings.lost, []);
  assert.ok(findings.atStake >= AT_STAKE_MIN, said.join('\n'));
  assert.ok(findings.sums.agree, said.join('\n'));
});

test('with ACK_AFTER=commit it costs what the disk had not taken yet, and nothing is settled twice', {
  skip: noLoopDisk,
}, async () => {
  const findings = await losePower('commit', options);
  assertExact(findings);
  assert.deepEqual(findings.lostFromDisk, [], said.join('\n'));
  assert.ok(findings.atStake >= AT_STAKE_MIN, said.join('\n'));
});

for (const how of ['fails', 'is moved away'] as const) {
  test(`when the disk of the store ${how}, clients are refused until it is back`, {
    skip: how === 'fails' && noLoopDisk,
  }, async () => {
    const findings = await loseDisk(how, options);
    assertExact(findings);
    const { status, retryAfter, contentType, reasons } = findings.refusal;
    assert.deepEqual([status, retryAfter, contentType], [503, '1', 'application/problem+json']);
    assert.match(reasons, /the store is lost/);
    if (how === 'is moved away') assert.deepEqual(findings.lost, []);
  });
}

test('with an empty directory a stack begins anew, and knows nothing of what fallback has', async () => {
  const { emptied, sentAgain, onFallback } = await beginAnew({ ...options, payments: 200 });
  assert.ok(onFallback > 0);
  assert.equal(emptied.lost.length, 200);
  assert.equal(emptied.recorded.counts.unknown, 200);
  assert.equal(sentAgain.recorded.counts.twice, onFallback);
  assert.equal(sentAgain.recorded.counts.unknown, 0);
});

test('when a processor loses its books, soquete keeps what it settled and shows the difference', async () => {
  const { findings, shownCents } = await loseBooks(options);
  const { lost, sent, recorded, sums } = findings;
  assert.deepEqual(lost, []);
  assert.equal(recorded.counts.twice, 0);
  assert.ok(sent.counts.lost > 0);
  assert.equal(sums.lines[0]!.difference.count, -sent.counts.lost);
  assert.ok(shownCents < 0);
  assert.equal(shownCents, differenceOf(findings));
});

test('each row of docs/promises.md that is marked as done can be done again', () => {
  assert.deepEqual(
    markedRows(),
    ROWS.map(({ fault }) => fault),
  );
});
