import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSED, SETTLED } from '../../../domain/payment.ts';
import { chance } from '../../../domain/random.ts';
import { generationOf, LogWorld } from './order.fixture.ts';
import { ROW_CENTS, ROW_STATE } from './tail-table.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 60);
const FIRST = Number(process.env['SEED'] ?? 0);

test('three instances that read one log agree, whoever dies or is paused, and no payment is doubled', () => {
  const seen = new Map<string, number>();
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const world = new LogWorld(chance(seed));
    try {
      for (let step = 0; step < 400; step++) {
        const action = world.below(12);
        const node = world.nodes[world.below(3)]!;
        if (action < 7) node.turn();
        else if (action < 11) world.deliver();
        else if (world.below(8) === 0) node.die();
      }
      world.heal();
      for (const node of world.nodes) node.poll();
      // All have read all, and hold the same opinion to the last word.
      const [first, ...others] = world.nodes.map(({ order }) => order.save());
      for (const other of others) assert.deepEqual(other, first);
      for (const [id, cents] of world.answered) {
        if (generationOf(id) !== first!.generation) continue;
        const payment = world.index.rows.get(id);
        assert(payment !== undefined, `${id} is lost`);
        assert.equal(payment[ROW_CENTS], cents);
        const isClosed = payment[ROW_STATE] === CLOSED;
        assert(payment[ROW_STATE] === SETTLED || isClosed, `${id} is in state ${payment[ROW_STATE]}`);
        const isBooked = world.books[0].has(id) || world.books[1].has(id);
        assert.equal(isBooked, !isClosed);
      }
    } catch (error) {
      throw new Error(`SEED=${seed}`, { cause: error });
    }
    for (const [what, count] of world.seen) seen.set(what, (seen.get(what) ?? 0) + count);
  }
  if (process.env['SEEN']) console.log(seen);
});
