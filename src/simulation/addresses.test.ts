import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, idTextWords } from '../domain/payment.ts';
import { SimulatedAddresses } from './addresses.ts';
import { Dice } from './dice.ts';

const ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';

test('what two addresses recorded of one id is compared with the present one, whichever is the newer', () => {
  const addresses = new SimulatedAddresses({ monotonicMs: () => 0, after: () => ({ cancel() {} }) });
  const [first] = addresses.processors;
  const dice = new Dice(1);
  addresses.change(DEFAULT, dice);
  const [second] = addresses.processors;
  second.book.record(idTextWords(ID), 5, 1000);
  const recordedAtMs = (): number | undefined => addresses.entry(DEFAULT, ID)?.requestedAtMs;
  addresses.goBack();
  assert.equal(addresses.processors[0], first);
  assert.equal(recordedAtMs(), 1000);
  first.book.record(idTextWords(ID), 7, 2000);
  assert.equal(recordedAtMs(), 2000);
  assert.deepEqual(addresses.amounts(ID).sort(), [5, 7]);
});
