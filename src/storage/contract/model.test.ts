/**
 * Chance against the contract: three instances do anything in any order, their index lags as it likes, and
 * each engine answers as the model does.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOver, PINNED, SENT, type StoredPayment, WAITING } from '../../domain/payment.ts';
import { seededBelow } from '../../domain/random.ts';
import {
  asked,
  attemptRow,
  type Fields,
  holdRow,
  idOf,
  markRow,
  put,
  seed,
  settleRow,
} from '../../testing/stores.ts';
import { Batch } from '../batch.ts';
import { type Shared, StoreFault } from '../ports.ts';
import { type Deployment, declareDead, engines, instance, MemberStore } from './engines.ts';

const NAMES = ['a', 'b', 'c'];
/** Few ids and few instants, so that everything meets everything. */
const IDS = 60;
const INSTANTS = 90;
const STEPS = 1200;
/** Where each of them goes to another process and back. */
const REMOTE_STEPS = 500;

type Below = (bound: number) => number;

/** Three instances of one engine. */
class Trio {
  readonly deployment: Deployment;
  readonly instances: MemberStore[] = [];
  generation = 1;
  /** Of all payments that were new, in order. An engine may leave numbers out. */
  readonly seqs: number[] = [];

  constructor(deployment: Deployment) {
    this.deployment = deployment;
  }

  async join(): Promise<this> {
    for (const name of NAMES) this.instances.push(await instance(this.deployment, name));
    return this;
  }

  /** The instance joins anew. */
  async rejoin(which: number): Promise<void> {
    const { raw } = this.instances[which]!;
    this.instances[which] = new MemberStore(raw, await asked(raw).join(NAMES[which]!));
  }
}

/** Asked of every engine alike; the answers have to be the same. */
type Question = (trio: Trio) => Promise<unknown>;

/** What may become of a payment in one row, by the state that it is in. */
function rowOn(payment: StoredPayment, below: Below): (batch: Batch, of: StoredPayment) => void {
  const { state, processor = below(2), attempts } = payment;
  const fields: Fields = {
    processor,
    requestedAtMs: below(INSTANTS),
    attempts: attempts + 1,
    tries: below(5),
  };
  const free = { ...fields, processor: state === WAITING ? below(2) : processor };
  if (below(5) === 0) {
    const next = state === PINNED ? PINNED : WAITING;
    const held = { held: 1 + below(3), retryAtMs: below(8) === 0 ? Infinity : below(INSTANTS) };
    return (batch, of) => holdRow(batch, of, { ...fields, ...held, state: next });
  }
  const kind = below(3);
  if (kind === 0) return (batch, of) => settleRow(batch, of, { ...free, settledAtMs: 7 });
  if (kind === 1 && state !== WAITING) {
    const next = state === PINNED || below(2) ? PINNED : WAITING;
    return (batch, of) => attemptRow(batch, of, { ...fields, state: next });
  }
  return (batch, of) => markRow(batch, of, { ...free, state: state === WAITING ? SENT : PINNED });
}

/**
 * A batch of random rows of one instance; also of epochs and generations that have passed, and of others'
 * payments.
 */
async function write(model: Trio, which: number, below: Below): Promise<Question> {
  const rows: {
    n: number;
    isPut?: true;
    add: (batch: Batch, of: StoredPayment | undefined) => void;
  }[] = [];
  const numbers = new Set(Array.from({ length: below(12) }, () => below(IDS)));
  for (const n of numbers) {
    const known = await model.instances[which]!.store.find(idOf(n));
    if (known === undefined || below(4) === 0) {
      const cents = 1990 + below(8) * (below(4) === 0 ? 1 : 0);
      const sent = {
        state: SENT,
        processor: below(2),
        requestedAtMs: below(INSTANTS),
        attempts: 1,
        tries: 1,
      };
      const fields = { cents, ...(below(2) ? sent : {}) };
      rows.push({ n, isPut: true, add: batch => put(batch, n, fields) });
    } else if (!isOver(known.state)) {
      const row = rowOn(known, below);
      rows.push({ n, add: (batch, of) => row(batch, of!) });
    }
  }
  const epochsBack = below(12) === 0 ? 1 : 0;
  const generationsBack = below(12) === 0 ? 1 : 0;
  return async trio => {
    const { store, joined } = trio.instances[which]!;
    const batch = new Batch(joined.epoch - epochsBack, Math.max(1, trio.generation - generationsBack), 1);
    for (const { n, add } of rows) add(batch, await store.find(idOf(n)));
    const { generation, results } = await store.write(batch);
    return [
      generation,
      ...rows.map(({ isPut }, row) => {
        const result = results[row]!;
        return isPut === true && result > 0 ? `new ${trio.seqs.push(result)}` : result;
      }),
    ];
  };
}

async function questionOf(model: Trio, below: Below): Promise<Question> {
  const which = below(3);
  const other = (which + 1 + below(2)) % 3;
  const [one, two] = [below(INSTANTS), below(INSTANTS)];
  switch (below(28)) {
    case 0:
      return trio => trio.rejoin(which);
    case 1:
      // Taken for dead and adopted, the other one joins anew: at any other moment all live.
      return async trio => {
        await declareDead(trio.instances[which]!, NAMES[other]!);
        const adopted = await trio.instances[which]!.store.adopt(NAMES[other]!);
        await trio.rejoin(other);
        return adopted;
      };
    case 2:
      return async trio => {
        const { store } = trio.instances[which]!;
        const { epoch, beat } = (await store.look()).instances.find(({ name }) => name === NAMES[other])!;
        return [await store.fence(NAMES[other]!, epoch, beat - 1), await store.adopt(NAMES[other]!)];
      };
    case 3:
      return async trio => {
        await trio.instances[which]!.store.beat(`{"figure":${one}}`);
      };
    case 4:
      return trio => trio.instances[which]!.store.takeChecker(one % 2 ? '' : NAMES[other]!);
    case 5:
      return trio => trio.instances[which]!.store.report((one % 2) as 0 | 1, two % 2 === 0, two);
    case 6:
    case 7:
      return async trio => {
        const after = trio.seqs[(one % 20) - 1] ?? 0;
        return plain(trio, await trio.instances[which]!.store.take(after, 1 + (two % 10)));
      };
    case 8:
      return async trio => {
        const found = await trio.instances[which]!.store.find(idOf(one % IDS));
        return found && plain(trio, [found]);
      };
    case 9:
    case 10:
      return trio => trio.instances[which]!.store.summary(one, two);
    case 11:
      return trio => trio.deployment.index();
    case 12:
      return async trio => trio.deployment.beginIndex();
    case 13:
      if (one > 6) return trio => trio.instances[which]!.store.summary(-Infinity, Infinity);
      return async trio => {
        trio.generation = await trio.instances[which]!.store.purge();
        return trio.generation;
      };
    case 14:
    case 15:
      return async trio => plain(trio, await trio.instances[which]!.store.takeHeld(one, 1 + (two % 10)));
    case 16:
      return async trio =>
        trio.instances[which]!.store.act({
          kind: (['retry', 'settle', 'close'] as const)[one % 3]!,
          id: idOf(two % IDS),
          processor: (one % 2) as 0 | 1,
          requestedAtMs: one,
          atMs: two,
          who: `w${one}`,
          text: `because ${two}`,
        });
    default:
      return write(model, which, below);
  }
}

/** What all engines say alike: how often a settled one was tried in its last round means nothing. */
function plain({ seqs }: Trio, payments: readonly StoredPayment[]) {
  return payments.map(({ origin: _, seq, ...payment }) => {
    const place = seqs.indexOf(seq);
    return isOver(payment.state) ? { ...payment, place, tries: 0 } : { ...payment, place };
  });
}

/** What all have in common, without what each engine counts in its own way. */
async function shared({ instances: [one] }: Trio): Promise<unknown> {
  const { instances, ...rest }: Shared = await one!.store.look();
  return { ...rest, instances: instances.map(({ epoch: _, beat: __, generation: ___, ...view }) => view) };
}

async function answerOf(ask: Promise<unknown>): Promise<unknown> {
  try {
    return await ask;
  } catch (fault) {
    assert.ok(fault instanceof StoreFault, String(fault));
    return fault.reason;
  }
}

const [[, deployModel], ...others] = engines;

for (const [engine, deploy] of others) {
  test(`${engine}: answers are those of the model (SEED=${seed})`, async t => {
    const below = seededBelow(seed);
    const [model, real] = [new Trio(deployModel()), new Trio(deploy())];
    t.after(() => real.deployment.close());
    await Promise.all([model.join(), real.join()]);
    let settled = 0;
    const steps = /^(?:PostgreSQL|Redis|Valkey)/.test(engine) ? REMOTE_STEPS : STEPS;
    for (let step = 0; step < steps; step++) {
      const question = await questionOf(model, below);
      const [expected, got] = [await answerOf(question(model)), await answerOf(question(real))];
      assert.deepEqual(got, expected, `SEED=${seed} step ${step}`);
      if (step % 10 === 0) {
        assert.deepEqual(await shared(real), await shared(model), `SEED=${seed} step ${step}`);
        settled += (await model.instances[0]!.store.summary(0, INSTANTS)).default.count;
      }
    }
    assert.ok(settled > 100, 'something has happened');
  });
}
