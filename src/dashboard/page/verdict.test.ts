import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DashboardView, ProcessorState } from '../api.ts';
import { headlineOf } from './verdict.ts';

type Circuit = ProcessorState['circuits'][number];

const circuits = (...states: Circuit['circuit'][]): readonly Circuit[] =>
  states.map((circuit, at) => ({ instance: `backend-${at + 1}`, circuit, probing: false, probeAtMs: 0 }));

/** Three living backends, of which `waiting` payments wait, and two processors with these circuits. */
function viewOf(first: readonly Circuit[], second: readonly Circuit[], waiting = 0): DashboardView {
  const queue = { length: waiting, capacity: 1024, pinned: 0, oldestMs: 0, atWork: 0 };
  const instances = ['backend-1', 'backend-2', 'backend-3'].map((name, at) => ({
    name,
    alive: true,
    reasons: [],
    unsettled: at === 0 ? waiting : 0,
    queue: at === 0 ? queue : { ...queue, length: 0 },
  }));
  const processors = [
    { name: 'default', failing: false, circuits: first },
    { name: 'fallback', failing: false, circuits: second },
  ];
  return { instances, processors, held: {}, policy: { fallbackAfterMs: 30_000 } } as unknown as DashboardView;
}

const closed = circuits('closed', 'closed', 'closed');

test('payments that are held are named, with why', () => {
  const view = { ...viewOf(closed, closed), held: { refused: 2, 'url-changed': 1 } };
  assert.match(headlineOf(view).text, /^3 payments held for an operator: 2 refused, 1 url-changed\.$/);
});

test('an idle system after an outage has nothing to complain of', () => {
  const unproven = circuits('half-open', 'half-open', 'half-open');
  for (const view of [
    viewOf(unproven, unproven),
    viewOf(circuits('closed', 'half-open', 'half-open'), closed),
  ]) {
    assert.deepEqual(headlineOf(view), { look: '', text: 'Every accepted payment is settled.' });
  }
});

test('a processor that no instance can use is named, and what becomes of the payments', () => {
  const open = circuits('open', 'half-open', 'half-open');
  assert.deepEqual(headlineOf(viewOf(open, closed, 2)), {
    look: 'warn',
    text: 'default fails. 2 payments wait, safe. After 30\u00a0s fallback may take them.',
  });
  assert.deepEqual(headlineOf(viewOf(open, open, 1)), {
    look: 'bad',
    text: 'Both processors fail. 1 payment waits, safe.',
  });
  assert.match(headlineOf(viewOf(closed, open)).text, /^fallback fails/);
});

test('a processor that fails for one backend only is no outage', () => {
  assert.deepEqual(headlineOf(viewOf(circuits('closed', 'open', 'closed'), closed)), {
    look: 'warn',
    text: 'default fails for backend-2 only.',
  });
});
