import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AttemptResult, classify } from './outcome.ts';

const verdicts: readonly [string, AttemptResult, string, string][] = [
  ['200', { status: 200 }, 'processed', 'processed'],
  ['422: it has this payment', { status: 422 }, 'already processed', 'processed'],
  ['429', { status: 429, retryAfterMs: 2000 }, 'overloaded', 'not processed'],
  ['500', { status: 500 }, 'failed', 'not processed'],
  ['503', { status: 503 }, 'unavailable', 'not processed'],
  ['400', { status: 400 }, 'rejected', 'not processed'],
  ['401', { status: 401 }, 'rejected', 'not processed'],
  ['404', { status: 404 }, 'rejected', 'not processed'],
  ['415', { status: 415 }, 'rejected', 'not processed'],
  ['408: a gateway may say so', { status: 408 }, 'gateway', 'unknown'],
  ['502', { status: 502 }, 'gateway', 'unknown'],
  ['504', { status: 504 }, 'gateway', 'unknown'],
  ['201: not an answer of a processor', { status: 201 }, 'garbage', 'unknown'],
  ['302', { status: 302 }, 'garbage', 'unknown'],
  ['501', { status: 501 }, 'garbage', 'unknown'],
  ['a refused connection', { sent: false, because: 'reset' }, 'not connected', 'not processed'],
  ['a time-out while connecting', { sent: false, because: 'timed out' }, 'not connected', 'not processed'],
  ['a time-out', { sent: true, because: 'timed out' }, 'timed out', 'unknown'],
  ['a reset after sending', { sent: true, because: 'reset' }, 'reset', 'unknown'],
  ['garbage', { sent: true, because: 'garbage' }, 'garbage', 'unknown'],
];

for (const [name, ending, outcome, verdict] of verdicts) {
  test(`${name} is ${outcome}: ${verdict}`, () => {
    assert.deepEqual(classify(ending), { outcome, verdict });
  });
}
