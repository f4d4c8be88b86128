/**
 * One id with two amounts, which reach two backends at the same moment.
 *
 *   PAIRS=10000 node --test src/stack/conflict.test.ts
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { Client } from 'undici';
import { absentProcessors, startBackends } from '../testing/backends.ts';
import { ChildProcesses } from '../testing/processes.ts';

const PAIRS = Number(process.env['PAIRS'] ?? 500);
/** So many pairs are on their way at once: with more, one request of a pair would wait for others' turns. */
const LANES = 8;
const AMOUNTS = [19.9, 20] as const;

test(`of two amounts of one id one is accepted, and all know it then (${PAIRS} pairs)`, async () => {
  await using children = new ChildProcesses();
  await startBackends(children, { processors: await absentProcessors() });
  const clients = [1, 2, 3].map(
    number =>
      new Client('http://localhost', {
        socketPath: join(children.directory, `backend-${number}.sock`),
        pipelining: LANES,
      }),
  );
  const seen = { firstWins: 0, secondWins: 0, refused: 0 };
  const post = async (to: Client, correlationId: string, amount: number): Promise<number> => {
    const body = JSON.stringify({ correlationId, amount });
    const answer = await to.request({ method: 'POST', path: '/payments', body });
    await answer.body.dump();
    return answer.statusCode;
  };
  const pair = async (index: number): Promise<void> => {
    const id = randomUUID();
    const [one, two, third] = [0, 1, 2].map(offset => clients[(index + offset) % 3]!) as [
      Client,
      Client,
      Client,
    ];
    const statuses = await Promise.all([post(one, id, AMOUNTS[0]), post(two, id, AMOUNTS[1])]);
    const winner = statuses.indexOf(202);
    if (winner < 0) {
      assert.deepEqual(statuses, [503, 503]);
      seen.refused += 1;
      return;
    }
    assert.ok([409, 503].includes(statuses[1 - winner]!), `${id}: ${statuses}`);
    seen[winner === 0 ? 'firstWins' : 'secondWins'] += 1;
    const { statusCode, body } = await third.request({ method: 'GET', path: `/payments/${id}` });
    assert.equal(statusCode, 200);
    assert.equal(((await body.json()) as { amount: number }).amount, AMOUNTS[winner]);
  };
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < PAIRS) await pair(next++);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  for (const client of clients) await client.close();
  // Else they did not meet.
  assert.ok(seen.firstWins > 0 && seen.secondWins > 0, JSON.stringify(seen));
});
