import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProcessorState } from '../api.ts';
import { circuitOfAll, isDown } from './circuits.ts';

/** One letter for each instance: closed, open, half-open with nothing sent since, or probing. */
function processor(letters: string, failing = false): Pick<ProcessorState, 'circuits' | 'failing'> {
  const circuits = [...letters].map((letter, at) => ({
    instance: `backend-${at + 1}`,
    circuit: { c: 'closed', o: 'open', h: 'half-open', p: 'half-open' }[letter] as 'closed',
    probing: letter === 'p',
    probeAtMs: 0,
  }));
  return { circuits, failing };
}

test('an instance that has nothing to send does not contradict those that settle', () => {
  assert.equal(circuitOfAll(processor('ccc')), 'closed');
  assert.equal(circuitOfAll(processor('chh')), 'closed');
});

test('after a good report, and with nothing sent since, the processor counts as working', () => {
  assert.equal(circuitOfAll(processor('hhh')), 'half-open');
  assert.equal(isDown(processor('hhh')), false);
});

test('a circuit that is half-open proves nothing against a report that says failing', () => {
  assert.equal(circuitOfAll(processor('hhh', true)), 'open');
});

test('where attempts fail and none succeeds, the processor is down, also while a probe waits for its answer', () => {
  for (const letters of ['ooo', 'ohh', 'phh', 'poh']) {
    assert.equal(circuitOfAll(processor(letters)), 'open', letters);
    assert.equal(isDown(processor(letters)), true, letters);
  }
});

test('a circuit that is open in some instances only is named as such, and is no outage', () => {
  for (const letters of ['occ', 'pch', 'ooc']) {
    assert.equal(circuitOfAll(processor(letters)), 'partly open', letters);
    assert.equal(isDown(processor(letters)), false, letters);
  }
});

test('without a living instance nothing is known', () => {
  assert.equal(circuitOfAll(processor('')), 'unknown');
  assert.equal(isDown(processor('', true)), false);
});
