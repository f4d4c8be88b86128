import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Found } from '../processors/port.ts';
import { mayClose, mayResend, maySettle, mayTakeIn } from './findings.ts';

const absent: Found = { is: 'absent' };
const silent: Found = { is: 'unavailable' };
const there = (cents: number, requestedAtMs = 7): Found => ({ is: 'there', cents, requestedAtMs });

test('what a processor has is booked as it has it', () => {
  assert.deepEqual(maySettle(100, 0, undefined, [there(100), absent], false), {
    may: true,
    requestedAtMs: 7,
  });
  assert.deepEqual(maySettle(100, 1, 7, [absent, there(100)], false), { may: true, requestedAtMs: 7 });
});

test('what speaks against a settlement has to be known to who settles', () => {
  const cases: [number | undefined, [Found, Found], RegExp, number][] = [
    [undefined, [there(101), absent], /amounts differ \(1\.00 here\)/, 7],
    [8, [there(100), absent], /default has another requestedAt/, 8],
    [undefined, [there(100), there(100)], /fallback has it as well/, 7],
    [8, [absent, absent], /default would have no record/, 8],
    [8, [silent, absent], /default cannot be asked/, 8],
  ];
  for (const [wanted, found, because, requestedAtMs] of cases) {
    const finding = maySettle(100, 0, wanted, found, false);
    assert.ok(!finding.may);
    assert.match(finding.because, because);
    assert.deepEqual(maySettle(100, 0, wanted, found, true), { may: true, requestedAtMs });
  }
});

test('without a record and without a requestedAt nothing can be booked', () => {
  for (const found of [absent, silent]) {
    const finding = maySettle(100, 0, undefined, [found, absent], true);
    assert.ok(!finding.may);
    assert.match(finding.because, /--requested-at is needed/);
  }
});

test('a payment is closed where both processors say that they do not have it', () => {
  assert.ok(mayClose([absent, absent], false).may);
  for (const [found, because] of [
    [[absent, there(1)], /settle it --on fallback/],
    [[silent, absent], /default cannot be asked/],
  ] as [[Found, Found], RegExp][]) {
    const finding = mayClose(found, false);
    assert.ok(!finding.may);
    assert.match(finding.because, because);
    assert.ok(mayClose(found, true).may);
  }
});

test('a settled payment is sent once more only where both processors say that they do not have it', () => {
  for (const on of [0, 1] as const) assert.ok(mayResend(on, [absent, absent]).may);
  const cases: [0 | 1, [Found, Found], RegExp][] = [
    [1, [absent, there(1)], /fallback has it: nothing/],
    [1, [there(1), absent], /default has it, and fallback would have it as well/],
    [0, [absent, there(1)], /fallback has it, and default would have it as well/],
    [1, [absent, silent], /fallback cannot be asked/],
    [1, [silent, absent], /default cannot be asked/],
  ];
  for (const [on, found, because] of cases) {
    const finding = mayResend(on, found);
    assert.ok(!finding.may);
    assert.match(finding.because, because);
  }
});

test('what exactly one processor has is taken in as it has it', () => {
  assert.deepEqual(mayTakeIn([absent, there(777)]), { may: true, on: 1, cents: 777 });
  assert.deepEqual(mayTakeIn([there(777), absent]), { may: true, on: 0, cents: 777 });
  const cases: [[Found, Found], RegExp][] = [
    [[there(777), there(777)], /both have it/],
    [[there(777), silent], /fallback cannot be asked/],
    [[silent, there(777)], /default cannot be asked/],
    [[absent, absent], /no processor has it/],
    [[there(77.7), absent], /default has an amount that no payment can have/],
    [[absent, there(0)], /fallback has an amount/],
  ];
  for (const [found, because] of cases) {
    const finding = mayTakeIn(found);
    assert.ok(!finding.may);
    assert.match(finding.because, because);
  }
});
