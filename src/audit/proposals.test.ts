import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proposalFor } from './proposals.ts';
import type { Booked } from './reconciliation.ts';

const correlationId = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';
const record = { correlationId, cents: 1990n, requestedAtMs: 7 };
const ours: Booked = {
  cents: 1990n,
  status: 'settled',
  processor: 'fallback',
  requestedAtMs: 7,
  attempts: 1,
};

test('what its processor has lost is sent there again where the other one does not have it', () => {
  const lost = { correlationId, ours, theirs: { default: undefined, fallback: undefined } };
  assert.equal(proposalFor('lost', lost).is, 'act');
  const elsewhere = proposalFor('lost', { ...lost, theirs: { default: record, fallback: undefined } });
  assert.equal(elsewhere.is, 'none');
  assert.match(elsewhere.means, /default has it/);
});
