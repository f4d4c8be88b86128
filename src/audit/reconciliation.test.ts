import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Processor } from '../domain/payment.ts';
import type { RecordedPayment } from '../processor-simulator/admin-client.ts';
import {
  type Booked,
  compareSums,
  type Discrepancy,
  describe,
  discrepancyOf,
  type Evidence,
  PaymentsAudit,
  signedDecimal,
  unexplained,
} from './reconciliation.ts';

const AT_MS = Date.parse('2026-07-10T12:34:56.000Z');
const record: RecordedPayment = { cents: 1990n, requestedAtMs: AT_MS };
const settledOn = (processor: Processor, more: Partial<Booked> = {}): Booked => ({
  ...record,
  status: 'settled',
  processor,
  attempts: 1,
  ...more,
});
const queued: Booked = { cents: 1990n, status: 'queued', processor: null, requestedAtMs: null, attempts: 0 };
const evidence = (ours?: Booked, onDefault?: RecordedPayment, onFallback?: RecordedPayment): Evidence => ({
  correlationId: '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3',
  ours,
  theirs: { default: onDefault, fallback: onFallback },
});

const sum = (count: number, cents: bigint, fee = '') => ({ count, cents, fee, feePerTransaction: 0.05 });

test('sums agree when counts and cents are the same, processor by processor', () => {
  const ours = { default: sum(2, 3980n), fallback: sum(1, 1n) };
  assert.equal(compareSums(ours, ours).agree, true);
  const crossed = { default: ours.fallback, fallback: ours.default };
  const audit = compareSums(ours, crossed);
  assert.equal(audit.agree, false);
  assert.deepEqual(
    audit.lines.map(({ difference }) => difference),
    [
      { count: -1, cents: -3979n },
      { count: 1, cents: 3979n },
    ],
  );
  assert.equal(compareSums(ours, { ...ours, default: sum(2, 3981n) }).agree, false);
});

const VERDICTS: [string, Discrepancy | undefined, Evidence][] = [
  ['settled where it is recorded', undefined, evidence(settledOn('default'), record)],
  ['waiting, recorded nowhere', undefined, evidence(queued)],
  ['recorded by both', 'twice', evidence(settledOn('fallback'), record, record)],
  ['recorded by both, unknown here', 'twice', evidence(undefined, record, record)],
  ['booked, recorded nowhere', 'lost', evidence(settledOn('default'))],
  [
    'booked by hand as an earlier address has it',
    'by hand',
    { ...evidence(settledOn('default')), isByHand: true },
  ],
  ['booked on one, recorded by the other', 'lost', evidence(settledOn('default'), undefined, record)],
  ['recorded, unknown here', 'unknown', evidence(undefined, undefined, record)],
  ['known to no one', 'absent', evidence()],
  ['recorded, still waiting here', 'queued', evidence(queued, record)],
  ['another amount', 'amount', evidence(settledOn('default', { cents: 1n }), record)],
  ['another instant', 'instant', evidence(settledOn('default', { requestedAtMs: AT_MS + 1 }), record)],
];
for (const [name, verdict, seen] of VERDICTS) {
  test(`${name}: ${verdict ?? 'in order'}`, () => assert.equal(discrepancyOf(seen), verdict));
}

test('the payments found wrong explain the difference of the sums', () => {
  const audit = new PaymentsAudit({ fromMs: -Infinity, toMs: Infinity });
  audit.examine(evidence(settledOn('fallback'), record, record));
  audit.examine(evidence(queued, record));
  audit.examine(evidence(settledOn('fallback'), record));
  audit.examine(evidence(settledOn('default'), record));
  assert.deepEqual(audit.explained, {
    default: { count: 3, cents: 5970n },
    fallback: { count: -1, cents: -1990n },
  });
  assert.equal(audit.examined, 4);
  assert.equal(audit.agree, false);
  const { lines } = compareSums(
    { default: sum(1, 1990n), fallback: sum(2, 3980n) },
    { default: sum(4, 7960n), fallback: sum(0, 0n) },
  );
  assert.deepEqual(unexplained(lines[0]!, audit), { count: 0, cents: 0n });
  assert.deepEqual(unexplained(lines[1]!, audit), { count: -1, cents: -1990n });
});

test('a payment outside of the window on all sides is not looked at, one on its edge is', () => {
  const audit = new PaymentsAudit({ fromMs: AT_MS + 1, toMs: AT_MS + 1 });
  assert.equal(audit.examine(evidence(queued, record)), undefined);
  const moved = evidence(settledOn('default', { requestedAtMs: AT_MS + 1 }), record);
  assert.equal(audit.examine(moved), 'instant');
  assert.deepEqual(audit.explained.default, { count: -1, cents: -1990n });
});

test('examples are few, whatever the number of payments', () => {
  const audit = new PaymentsAudit({ fromMs: -Infinity, toMs: Infinity });
  for (let number = 0; number < 1000; number++) audit.examine(evidence(queued, record));
  assert.equal(audit.counts.queued, 1000);
  assert.ok(audit.examples.queued.length <= 10);
});

test('evidence is told in words', () => {
  const pinned: Booked = { ...queued, processor: 'default', requestedAtMs: AT_MS, attempts: 2 };
  assert.equal(
    describe(evidence(pinned, record)),
    'soquete: 19.90 queued, sent to default at 2026-07-10T12:34:56.000Z, 2 attempts; ' +
      'default: 19.90 at 2026-07-10T12:34:56.000Z; fallback: nothing',
  );
  assert.equal(signedDecimal(-5n), '-0.05');
});
