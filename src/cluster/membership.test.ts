import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cents } from '../domain/money.ts';
import { SETTLED } from '../domain/payment.ts';
import { EventLoop, Process, ProcessClock } from '../simulation/event-loop.ts';
import { MemoryState, untouched } from '../storage/memory/state.ts';
import { MemoryStore } from '../storage/memory/store.ts';
import { type Joined, type Store, StoreFault } from '../storage/ports.ts';
import { BEAT_MS, LEASE_MS, LOOK_MS, Membership } from './membership.ts';

/** By then every look and every answer that was due has come. */
const SETTLE_MS = 2 * LOOK_MS;

interface Member {
  readonly name: string;
  readonly process: Process;
  readonly store: Store;
  readonly membership: Membership;
  /** What it reported, in order. */
  readonly events: string[];
  /** The store's calls that were carried out for it. */
  readonly calls: (keyof Store)[];
  /** What the store answers to a call instead of doing it. */
  fault: (call: keyof Store) => StoreFault | undefined;
  losesReply: (call: keyof Store) => boolean;
}

/** Instances on one clock and one store. A session that ends asks nothing more, as the real one. */
class Cluster {
  readonly loop = new EventLoop();
  readonly state = new MemoryState();
  readonly members: Member[] = [];
  storeMs = 0.1;

  constructor(...names: readonly string[]) {
    for (const name of names) this.join(name);
    this.pass(SETTLE_MS);
  }

  /** A new session of this name. */
  join(name: string): Member {
    const { loop, state } = this;
    const process = new Process(name, 1, loop.nowMs);
    const clock = new ProcessClock(loop, process, { offsetMs: 0 });
    const calls: (keyof Store)[] = [];
    let member: Member | undefined;
    const store = new MemoryStore(state, {
      schedule: carryOut => {
        const { storeMs } = this;
        loop.after(storeMs, process, () => loop.after(storeMs, process, carryOut()));
      },
      fault(call) {
        calls.push(call);
        return member?.fault(call);
      },
      losesReply: call => member?.losesReply(call) === true,
    });
    let joined: Joined | undefined;
    store.join(name, answer => {
      assert.ok(!(answer instanceof StoreFault));
      joined = answer;
    });
    while (joined === undefined) assert.ok(loop.step(Infinity));
    const events: string[] = [];
    const ended = (how: string): void => {
      events.push(how);
      membership.close();
    };
    const membership = new Membership(store, clock, name, joined.generation, {
      shared() {},
      purged: generation => ended(`purged ${generation}`),
      fenced: () => ended('fenced'),
      lost: ({ detail }) => ended(`lost: ${detail}`),
      died: instance => void events.push(`died ${instance}`),
      adopted: (instance, count) => void events.push(`adopted ${count} of ${instance}`),
      mayHaveAdopted: () => void events.push('may have adopted'),
      checking: mine => void events.push(mine ? 'checks' : 'checks no more'),
      figures: () => `figures of ${name}`,
    });
    member = {
      name,
      process,
      store,
      membership,
      events,
      calls,
      fault: () => undefined,
      losesReply: () => false,
    };
    this.members.push(member);
    membership.start();
    return member;
  }

  pass(ms: number): void {
    const untilMs = this.loop.nowMs + ms;
    while (this.loop.step(untilMs));
  }

  /** Payments that an instance has and has not settled. */
  give(owner: string, count: number): void {
    for (let at = 0; at < count; at++) {
      const id = new Uint8Array(16);
      new DataView(id.buffer).setUint32(0, this.state.lastSeq + 1);
      this.state.put({ ...untouched, id, owner, cents: 1990 as Cents, acceptedAtMs: 1 });
    }
  }

  /** How many unsettled payments each instance has. */
  owned(): Record<string, number> {
    const owned: Record<string, number> = {};
    for (const { owner, state } of this.state.bySeq.values())
      if (state !== SETTLED) owned[owner] = (owned[owner] ?? 0) + 1;
    return owned;
  }

  /** What all reported that begins so. */
  reported(what: string): string[] {
    return this.members.flatMap(({ name, events }) =>
      events.filter(event => event.startsWith(what)).map(event => `${name} ${event}`),
    );
  }
}

test('instances that beat are left alone', () => {
  const cluster = new Cluster('a', 'b', 'c');
  const before = [...cluster.state.instances.values()].map(({ beat }) => beat);
  cluster.pass(LEASE_MS * 10);
  assert.deepEqual(cluster.reported('died'), []);
  assert.deepEqual(cluster.reported('fenced'), []);
  const beats = [...cluster.state.instances.values()].map(({ beat }, at) => beat - before[at]!);
  const expected = (LEASE_MS * 10) / BEAT_MS;
  for (const count of beats) assert.ok(count > expected * 0.9 && count <= expected, `${count} beats`);
  assert.equal(cluster.state.instance('b').figures, 'figures of b');
});

test('a beat that stands still for the lease has its instance fenced, by exactly one other', () => {
  const cluster = new Cluster('a', 'b', 'c', 'd');
  const [, , , dead] = cluster.members;
  const { epoch } = cluster.state.instance('d');
  dead!.process.alive = false;
  cluster.pass(LEASE_MS - BEAT_MS - LOOK_MS);
  assert.equal(cluster.state.instance('d').alive, true, 'it may only be slow');
  cluster.pass(BEAT_MS + 3 * LOOK_MS);
  assert.equal(cluster.reported('died').length, 1);
  assert.match(cluster.reported('died')[0]!, /^[abc] died d$/);
  const view = cluster.state.instance('d');
  assert.deepEqual([view.alive, view.epoch], [false, epoch + 1]);
  cluster.pass(LEASE_MS * 3);
  assert.equal(cluster.reported('died').length, 1, 'nor a second time');
});

test('one that beats again just before the lease is over is not fenced', () => {
  const cluster = new Cluster('a', 'b');
  const [, slow] = cluster.members;
  for (let times = 0; times < 3; times++) {
    slow!.process.stopped = true;
    cluster.pass(LEASE_MS - BEAT_MS - LOOK_MS);
    cluster.loop.resume(slow!.process);
    cluster.pass(BEAT_MS + SETTLE_MS);
  }
  assert.deepEqual(cluster.reported('died'), []);
});

test('one that was stopped itself does not take the others for dead: it is their clock that stood still', () => {
  const cluster = new Cluster('a', 'b', 'c');
  const [stopped] = cluster.members;
  stopped!.process.stopped = true;
  cluster.pass(LEASE_MS * 2);
  cluster.loop.resume(stopped!.process);
  cluster.pass(LEASE_MS * 2);
  assert.deepEqual(
    stopped!.events.filter(event => event.startsWith('died')),
    [],
  );
  assert.equal(
    cluster.reported('died a').length + cluster.reported('died').length,
    2,
    'a died, and nobody else',
  );
});

test('one that was fenced learns it once, and asks the store for nothing more', () => {
  const cluster = new Cluster('a', 'b');
  const [, fenced] = cluster.members;
  fenced!.process.stopped = true;
  cluster.pass(LEASE_MS + BEAT_MS + SETTLE_MS);
  assert.deepEqual(cluster.reported('died'), ['a died b']);
  const { beat } = cluster.state.instance('b');
  cluster.loop.resume(fenced!.process);
  cluster.pass(BEAT_MS + SETTLE_MS);
  assert.deepEqual(cluster.reported('fenced'), ['b fenced']);
  const calls = fenced!.calls.length;
  cluster.pass(LEASE_MS * 2);
  assert.equal(fenced!.calls.length, calls);
  assert.equal(cluster.state.instance('b').beat, beat);
  assert.deepEqual(cluster.reported('fenced'), ['b fenced']);
});

test('a later session of the same name is not taken for the one that died', () => {
  const cluster = new Cluster('a', 'b');
  cluster.members[1]!.process.alive = false;
  cluster.pass(LEASE_MS - BEAT_MS);
  cluster.join('b');
  cluster.pass(LEASE_MS * 2);
  assert.deepEqual(cluster.reported('died'), []);
  assert.equal(cluster.state.instance('b').alive, true);
});

test('what a dead instance had is adopted once, and its number is reported', () => {
  const cluster = new Cluster('a', 'b', 'c');
  cluster.give('a', 3);
  cluster.give('c', 7);
  cluster.members[2]!.process.alive = false;
  cluster.pass(LEASE_MS - BEAT_MS - LOOK_MS);
  assert.deepEqual(cluster.owned(), { a: 3, c: 7 });
  cluster.pass(BEAT_MS + LOOK_MS + 2 * SETTLE_MS);
  const [adopted, ...more] = cluster.reported('adopted');
  assert.match(adopted!, /^[ab] adopted 7 of c$/);
  assert.deepEqual(more, []);
  assert.deepEqual(cluster.owned(), adopted!.startsWith('a') ? { a: 10 } : { a: 3, b: 7 });
  cluster.pass(LEASE_MS);
  assert.equal(cluster.reported('adopted').length, 1);
});

test('what an instance left behind is adopted without waiting for a lease', () => {
  const cluster = new Cluster('a', 'b');
  cluster.give('b', 2);
  const [, left] = cluster.members;
  left!.membership.close();
  left!.store.leave(() => {});
  cluster.pass(2 * SETTLE_MS);
  assert.deepEqual(cluster.reported('adopted'), ['a adopted 2 of b']);
  assert.deepEqual(cluster.reported('died'), []);
});

test('the store is asked for an adoption only where there is something, and one at a time', () => {
  const cluster = new Cluster('a', 'b', 'c');
  const [one] = cluster.members;
  for (const { membership, store } of cluster.members.slice(1)) {
    membership.close();
    store.leave(() => {});
  }
  cluster.pass(SETTLE_MS);
  assert.equal(one!.calls.includes('adopt'), false, 'nobody left anything');
  cluster.storeMs = LOOK_MS;
  cluster.give('b', 1);
  cluster.give('c', 1);
  const { adopt } = one!.store;
  let atWork = 0;
  let most = 0;
  one!.store.adopt = (instance, reply) => {
    atWork += 1;
    most = Math.max(most, atWork);
    adopt.call(one!.store, instance, answer => {
      atWork -= 1;
      reply(answer);
    });
  };
  cluster.pass(LEASE_MS * 2);
  assert.deepEqual(cluster.owned(), { a: 2 });
  assert.equal(most, 1);
});

for (const isDone of [false, true]) {
  test(`an adoption that ${isDone ? 'was carried out unanswered' : 'the store refused'} is not given up`, () => {
    const cluster = new Cluster('a', 'b');
    const [one, left] = cluster.members;
    cluster.give('b', 2);
    if (isDone) one!.losesReply = call => call === 'adopt';
    else one!.fault = call => (call === 'adopt' ? new StoreFault('busy', 'not now') : undefined);
    left!.membership.close();
    left!.store.leave(() => {});
    cluster.pass(LEASE_MS);
    assert.deepEqual(cluster.reported('adopted'), []);
    assert.deepEqual(cluster.reported('may have adopted'), isDone ? ['a may have adopted'] : []);
    one!.fault = () => undefined;
    cluster.pass(2 * SETTLE_MS);
    assert.deepEqual(cluster.reported('adopted'), isDone ? [] : ['a adopted 2 of b']);
  });
}

/** The names of those that take themselves for the checker. */
const checkers = ({ members }: Cluster): string[] =>
  members.filter(({ membership }) => membership.isChecker).map(({ name }) => name);

test("the checker's lease is taken when nobody has it, by one alone", () => {
  const cluster = new Cluster('a', 'b', 'c');
  const [holder, ...others] = checkers(cluster);
  assert.equal(cluster.state.checker, holder);
  assert.deepEqual(others, []);
  assert.deepEqual(cluster.reported('checks'), [`${holder} checks`]);
  cluster.pass(LEASE_MS * 3);
  assert.deepEqual(cluster.reported('checks'), [`${holder} checks`], 'and stays where it is');
});

test("the checker's lease moves when its holder dies, and not before", () => {
  const cluster = new Cluster('a', 'b', 'c');
  const [first] = checkers(cluster);
  const dead = cluster.members.find(({ name }) => name === first);
  dead!.process.stopped = true;
  cluster.pass(LEASE_MS - BEAT_MS - LOOK_MS);
  assert.equal(cluster.state.checker, first);
  cluster.pass(BEAT_MS + LOOK_MS + 2 * SETTLE_MS);
  const second = cluster.state.checker;
  assert.ok(second !== first && second !== '', `${second} has it`);
  assert.equal(cluster.members.find(({ name }) => name === second)!.membership.isChecker, true);
  // The first one was only stopped: it learns that it is not any more.
  cluster.loop.resume(dead!.process);
  cluster.pass(BEAT_MS + SETTLE_MS);
  assert.deepEqual(checkers(cluster), [second]);
  assert.deepEqual(dead!.events.slice(0, 2), ['checks', 'checks no more']);
});

test("the checker's lease moves at once when its holder leaves", () => {
  const cluster = new Cluster('a', 'b');
  const [first] = checkers(cluster);
  const [leaving, staying] = cluster.members.toSorted(one => (one.name === first ? -1 : 1));
  leaving!.membership.close();
  leaving!.store.leave(() => {});
  cluster.pass(SETTLE_MS + LOOK_MS);
  assert.deepEqual(checkers(cluster), [staying!.name]);
  assert.deepEqual(leaving!.events, ['checks', 'checks no more']);
});

test('a purge ends every session, and each of them learns the generation', () => {
  const cluster = new Cluster('a', 'b', 'c');
  cluster.members[0]!.store.purge(() => {});
  cluster.pass(SETTLE_MS);
  assert.deepEqual(cluster.reported('purged'), ['a purged 2', 'b purged 2', 'c purged 2']);
  const calls = cluster.members.map(member => member.calls.length);
  cluster.pass(LEASE_MS * 2);
  assert.deepEqual(
    cluster.members.map(member => member.calls.length),
    calls,
  );
  assert.deepEqual(checkers(cluster), []);
});

test('a session of the later generation is no news to itself', () => {
  const cluster = new Cluster('a');
  cluster.members[0]!.store.purge(() => {});
  cluster.pass(SETTLE_MS);
  const anew = cluster.join('a');
  cluster.pass(LEASE_MS);
  assert.deepEqual(anew.events, ['checks']);
  assert.equal(cluster.state.instance('a').generation, 2);
});

test('a store that breaks ends the session; one that is busy or full does not', () => {
  for (const reason of ['busy', 'full', 'unanswered', 'lost'] as const) {
    const cluster = new Cluster('a');
    const [one] = cluster.members;
    one!.fault = () => new StoreFault(reason, 'the disk is gone');
    cluster.pass(LEASE_MS);
    const lost = reason === 'lost' ? ['a lost: the disk is gone'] : [];
    assert.deepEqual(cluster.reported('lost'), lost);
    const before = one!.calls.length;
    one!.fault = () => undefined;
    cluster.pass(LEASE_MS);
    assert.equal(one!.calls.length > before, reason !== 'lost');
  }
});

test('one whose beats the store does not take leaves it to the others to take it for dead', () => {
  const cluster = new Cluster('a');
  const [one] = cluster.members;
  one!.fault = call => (call === 'beat' ? new StoreFault('busy', 'not now') : undefined);
  cluster.pass(LEASE_MS * 3);
  assert.equal(one!.calls.includes('fence'), false);
  assert.equal(cluster.state.instance('a').alive, true);
});

test('a fence that the store does not carry out is tried again, a lease later', () => {
  const cluster = new Cluster('a', 'b');
  const [one, dead] = cluster.members;
  dead!.process.alive = false;
  one!.fault = call => (call === 'fence' ? new StoreFault('busy', 'not now') : undefined);
  cluster.pass(LEASE_MS * 3 + BEAT_MS);
  const fences = one!.calls.filter(call => call === 'fence').length;
  assert.ok(fences >= 2 && fences <= 3, `${fences} fences`);
  one!.fault = () => undefined;
  cluster.pass(LEASE_MS + SETTLE_MS);
  assert.deepEqual(cluster.reported('died'), ['a died b']);
});

test('one that is closed reports nothing of what is still on its way', () => {
  const cluster = new Cluster('a', 'b');
  const [one, dead] = cluster.members;
  cluster.give('b', 1);
  dead!.process.alive = false;
  cluster.pass(LEASE_MS - 2 * BEAT_MS);
  cluster.storeMs = 50;
  while (!one!.calls.includes('fence')) cluster.pass(1);
  one!.membership.close();
  const events = one!.events.length;
  const calls = one!.calls.length;
  cluster.pass(LEASE_MS);
  assert.deepEqual([one!.events.length, one!.calls.length], [events, calls]);
});
