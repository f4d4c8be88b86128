import assert from 'node:assert/strict';
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { test } from 'node:test';
import { PINNED, WAITING } from '../../domain/payment.ts';
import type { LogDamage } from './damage.ts';
import { LogIndex } from './index/log-index.ts';
import { openMemoryIndex } from './index/schema.ts';
import { crc32 } from './shared-log/crc32.ts';
import { Order } from './shared-log/order.ts';
import { COUNTED } from './shared-log/order-state.ts';
import { encodeSegmentHeader, logSegmentName, segmentAt, storeIdOf } from './shared-log/segments.ts';
import { VirtualLogFiles } from './shared-log/virtual-log-files.ts';
import { LogWriter } from './shared-log/writer.ts';

const STORE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const nameOf = (segment: number): string => `/log/${logSegmentName(segment)}`;

/** One disk and one index, and those who start on them. */
class Machine {
  readonly files = new VirtualLogFiles();
  readonly database: DatabaseSync = openMemoryIndex(STORE);
  #nonce = 1000;

  start(segmentBytes?: number): Backend {
    const index = new LogIndex({ database: this.database, files: this.files, directory: '/log' });
    const { position, state, tail } = index.open();
    const { damage = [] } = index.takeDamage() ?? {};
    const id = storeIdOf(STORE);
    const order = new Order(id.mark);
    if (state !== undefined) order.restore(state, tail);
    const events = { gap: () => {} };
    const parts = { files: this.files, directory: '/log', id, order, position, events };
    const writer = new LogWriter({ ...parts, ...(segmentBytes === undefined ? {} : { segmentBytes }) });
    writer.poll();
    return new Backend(index, order, writer, damage, () => this.#nonce++);
  }

  /** The end of a segment that was not on the disk yet is lost. */
  cut(segment: number, byteCount: number): void {
    const kept = this.files.bytesOf(nameOf(segment)).slice(0, -byteCount);
    this.files.remove(nameOf(segment));
    this.files.createWhole(nameOf(segment), kept);
  }

  get segments(): string[] {
    return this.files.list('/log').sort();
  }

  stateOf(n: number): number | undefined {
    const id = new Uint8Array(16);
    id[3] = n;
    const found = this.database.prepare('SELECT state FROM payments WHERE id = ?').get(id);
    return found && Number(found['state']);
  }
}

class Backend {
  readonly index: LogIndex;
  readonly order: Order;
  readonly writer: LogWriter;
  readonly damage: readonly LogDamage[];
  readonly #nonce: () => number;

  constructor(
    index: LogIndex,
    order: Order,
    writer: LogWriter,
    damage: readonly LogDamage[],
    nonce: () => number,
  ) {
    this.index = index;
    this.order = order;
    this.writer = writer;
    this.damage = damage;
    this.#nonce = nonce;
  }

  join(name: string): void {
    assert(Number(this.writer.join(name, this.order.members.named(name)?.epoch ?? 0, this.#nonce())) > 0);
  }

  accept(n: number): void {
    const { writer } = this;
    writer.batch().accept(Int32Array.of(n, 0, 0, 0), 0, writer.epoch, 5, 1);
    assert.equal(writer.append(), COUNTED);
    assert(writer.results[0]! > 0);
  }

  knows(n: number): boolean {
    return this.order.tail.find(Int32Array.of(n, 0, 0, 0), 0) >= 0;
  }
}

const lost = ({ is, segment }: LogDamage): string => `${segment} ${is}`;

test('the disk has what an opening decides before anybody goes on from it', () => {
  const machine = new Machine();
  const { files, database } = machine;
  const level = (): unknown => database.prepare('PRAGMA synchronous').get()?.['synchronous'];
  database.exec('PRAGMA synchronous = NORMAL');
  const levels: unknown[] = [];
  const create = files.createWhole.bind(files);
  files.createWhole = (path, bytes) => {
    levels.push(level());
    return create(path, bytes);
  };
  machine.start();
  const [normal, full] = [1, 2];
  assert.deepEqual([levels, level()], [[full], normal]);
});

test('a new store has a first segment, whoever makes it', () => {
  const machine = new Machine();
  const [a, b] = [machine.start(), machine.start()];
  a.join('a');
  b.writer.poll();
  assert.deepEqual(
    [machine.segments, a.damage, b.order.members.named('a')?.epoch],
    [['0000000001.log'], [], 1],
  );
});

test('an index that lies behind by some segments goes on where it stood, with others at work or not', () => {
  const machine = new Machine();
  const a = machine.start(300);
  a.join('a');
  for (let n = 1; n <= 20; n++) a.accept(n);
  assert(machine.segments.length > 4);
  const b = machine.start(300);
  assert.deepEqual([b.damage, b.order.term, b.writer.position], [[], 1, a.writer.position]);
  for (let n = 1; n <= 20; n++) assert.equal(machine.stateOf(n), WAITING);
  assert.ok(b.order.members.living(1) !== undefined);
});

test('the index has more than the log: a fresh segment, a new term, and what waits is pinned and uncertain', () => {
  const machine = new Machine();
  const a = machine.start();
  a.join('a');
  for (let n = 1; n <= 3; n++) a.accept(n);
  a.index.advance();
  machine.cut(1, 10);
  const [b, c] = [machine.start(), machine.start()];
  assert.deepEqual([b.damage.map(lost), c.damage], [['1 lost'], []]);
  for (const { order, writer } of [b, c]) {
    assert.deepEqual([segmentAt(writer.position), order.term, [...order.members.alive].length], [2, 2, 0]);
  }
  b.join('b');
  b.accept(4);
  c.writer.poll();
  assert.ok(c.knows(4));
  b.index.advance();
  assert.deepEqual(
    [1, 2, 3, 4].map(n => machine.stateOf(n)),
    [~PINNED, ~PINNED, ~PINNED, ~WAITING],
  );
  assert.deepEqual(machine.start().damage, []);
});

test('a crash in the middle of that decision leads to the same one', () => {
  const machine = new Machine();
  const a = machine.start();
  a.join('a');
  a.accept(1);
  a.index.advance();
  const before = machine.database.prepare('SELECT position, state, tail FROM log').get()!;
  const restore = (position: unknown): void =>
    void machine.database
      .prepare('UPDATE log SET position = ?, state = ?, tail = ?')
      .run(...([position, before['state'], before['tail']] as SQLInputValue[]));
  machine.cut(1, 10);
  machine.start();
  // As if the transaction had not been committed.
  restore(before['position']);
  const b = machine.start();
  assert.deepEqual([segmentAt(b.writer.position), b.order.term], [2, 2]);
  assert.deepEqual(machine.segments, ['0000000001.log', '0000000002.log']);
});

test('a segment that lost its seal keeps what it has, and what stands behind it counts', () => {
  const machine = new Machine();
  const a = machine.start(400);
  a.join('a');
  let n = 0;
  while (segmentAt(a.writer.position) === 1) a.accept(++n);
  a.accept(n + 1);
  machine.cut(1, 20);
  const b = machine.start();
  assert.deepEqual([b.damage.map(lost), segmentAt(b.writer.position)], [['1 damaged'], 2]);
  assert.ok(b.order.isDamaged, 'who joins begins a term');
  b.index.advance();
  for (let known = 1; known <= n + 1; known++) assert.equal(machine.stateOf(known), WAITING);
});

test('a segment that somebody removed is asked for', () => {
  const machine = new Machine();
  const a = machine.start(300);
  a.join('a');
  a.accept(1);
  a.index.advance();
  for (let n = 2; n <= 20; n++) a.accept(n);
  const first = machine.files.bytesOf(nameOf(1)).slice();
  machine.files.remove(nameOf(1));
  assert.throws(() => machine.start(), /0000000001\.log is not there any more/);
  machine.files.createWhole(nameOf(1), first);
  const second = machine.files.bytesOf(nameOf(2)).slice();
  machine.files.remove(nameOf(2));
  assert.throws(() => machine.start(), /0000000002\.log is not there any more/);
  machine.files.createWhole(nameOf(2), second);
  machine.start();

  const alone = new Machine();
  const b = alone.start();
  b.join('b');
  b.index.advance();
  alone.files.remove(nameOf(1));
  assert.throws(() => alone.start(), /0000000001\.log is not there any more/);
});

test('segments of another store, and of another version, are refused before anything is changed', () => {
  const machine = new Machine();
  const a = machine.start();
  a.join('a');
  const other = storeIdOf(Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1));
  machine.files.createWhole(nameOf(2), encodeSegmentHeader(other, 2, 1));
  assert.throws(() => machine.start(), /0000000002\.log is of another store/);
  machine.files.remove(nameOf(2));
  machine.files.createWhole(nameOf(2), encodeSegmentHeader(storeIdOf(STORE), 3, 1));
  assert.throws(() => machine.start(), /0000000002\.log is a copy of 0000000003\.log/);
  machine.files.remove(nameOf(2));
  assert.equal(machine.start().writer.position, a.writer.position);

  const batch = a.writer.batch();
  batch.beat(new Uint8Array(0));
  const at = a.writer.position % 2 ** 32;
  a.writer.append();
  const bytes = machine.files.bytesOf(nameOf(1));
  bytes[at + 4] = 9;
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at + 40, crc32(bytes, at, at + 40), true);
  assert.throws(() => machine.start(), /a batch of version 9, this soquete knows 1/);
});
