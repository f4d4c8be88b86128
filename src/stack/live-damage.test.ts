/** Bits of the log are turned while the whole stack runs, which has read what stood there. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededBelow } from '../domain/random.ts';
import { seed } from '../testing/seed.ts';
import { startStack } from '../testing/stack.ts';
import { until } from '../testing/until.ts';

const PAYMENTS = 100;
const BITS = 8;
/** Longer than the index is behind the log. */
const READ_MS_MAX = 20_000;

test(`a log that is damaged under a running stack costs no payment (SEED=${seed})`, async () => {
  const below = seededBelow(seed);
  await using stack = await startStack();
  const log = join(stack.folder, 'data', 'log');
  const path = join(log, '0000000001.log');
  const paid = async (): Promise<string> => {
    const correlationId = randomUUID();
    const body = JSON.stringify({ correlationId, amount: 19.9 });
    while ((await fetch(`${stack.url}/payments`, { method: 'POST', body })).status !== 202);
    return correlationId;
  };
  const ids: string[] = [];
  const isFound = (): boolean => readdirSync(log).includes('damaged');
  // What the index has read before it is damaged, nobody reads again: then more is damaged.
  await until(async () => {
    const from = statSync(path).size;
    ids.push(...(await Promise.all(Array.from({ length: PAYMENTS }, paid))));
    const to = statSync(path).size;
    const fd = openSync(path, 'r+');
    for (let bit = 0; bit < BITS; bit++) {
      const at = from + below(to - from);
      writeSync(fd, Uint8Array.of(readFileSync(path)[at]! ^ (1 << bit)), 0, 1, at);
    }
    closeSync(fd);
    return until(isFound, 'the index to read it', READ_MS_MAX).then(
      () => true,
      () => false,
    );
  }, 'the damage to be found');
  const settled = async (): Promise<number> => {
    const summary = await fetch(`${stack.url}/payments-summary`);
    if (summary.status !== 200) return -1;
    const { default: one, fallback } = (await summary.json()) as Record<string, { totalRequests: number }>;
    return one!.totalRequests + fallback!.totalRequests;
  };
  await until(async () => (await settled()) === ids.length, 'all to be settled');
  // While the backends join anew there is no answer for a moment.
  for (const id of ids) {
    const find = (): Promise<Response> => fetch(`${stack.url}/payments/${id}`);
    await until(async () => (await find()).status === 200, `${id} to be known`);
  }
  await until(async () => (await settled()) === ids.length, 'the sum to be the same');
  let booked = 0;
  for (const url of stack.processorUrls) {
    const headers = { 'X-Rinha-Token': '123' };
    const books = await (await fetch(`${url}/admin/payments-summary`, { headers })).json();
    booked += (books as { totalRequests: number }).totalRequests;
  }
  assert.equal(booked, ids.length);
});
