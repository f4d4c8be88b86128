/**
 * The log's records against the same in JSON and in MessagePack: bytes, time to encode and decode, and what
 * that is of a write.
 *
 *   node bench/wire.ts [ROUNDS, 15]
 *
 * A settled payment is three records (accepted, about to be sent, booked), and what a batch holds goes to the
 * disk's file with one `write`. All of them begin with numbers in a typed array, as the engine has them, and
 * end with the numbers being read again, the four words of the id among them. JSON has a line a record and
 * the id as text; MessagePack has maps and the id as 16 bytes; "arrays" is MessagePack without names of
 * fields. The log has a sum (CRC-32) for each record and one for the batch, the others one for the batch.
 * Rounds are interleaved; medians of CPU time, but for `write`, which is by the clock.
 */
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Packr } from 'msgpackr';
import { DEFAULT, idText, idTextWords, idWords, SENT, writeIdBytes } from '../src/domain/payment.ts';
import { crc32 } from '../src/storage/embedded/shared-log/crc32.ts';
import { BatchView, readBatch } from '../src/storage/embedded/shared-log/decoder.ts';
import {
  ACCEPT,
  BATCH_HEADER_BYTES,
  BatchEncoder,
  BOOK,
  INTEND,
  recordBytes,
  recordKind,
} from '../src/storage/embedded/shared-log/records.ts';
import { median } from './tools/statistics.ts';
import { number, table } from './tools/table.ts';

const ROUND_MS = 40;
/** Of a quiet minute, and of a busy one. */
const BATCHES = [1, 100];
const RECORDS_A_PAYMENT = 3;
const SUM_BYTES = 4;
const ORIGIN = { store: 1, instance: 1, epoch: 1, number: 1, generation: 1, marksSeen: 0 };

/** A payment's numbers: id (four words), cents, accepted, requested, settled. */
const FIELDS = 8;

function payments(count: number): Float64Array {
  const ids = randomFillSync(new Int32Array(count * 4));
  const all = new Float64Array(count * FIELDS);
  for (let at = 0; at < count; at++) {
    all.set(ids.subarray(at * 4, at * 4 + 4), at * FIELDS);
    const acceptedAtMs = 1_783_684_800_000 + at * 7;
    all.set([1990 + at, acceptedAtMs, acceptedAtMs + 2, acceptedAtMs + 9], at * FIELDS + 4);
  }
  return all;
}

interface Format {
  readonly name: string;
  /** Returns the bytes of a batch, valid until the next call. */
  readonly encode: (all: Float64Array) => Uint8Array;
  /** Returns a sum of all numbers. */
  readonly decode: (bytes: Uint8Array) => number;
}

const encoder = new BatchEncoder();

/** `isSummed`: as the engine writes them; else what `finish` adds is left out. */
function ownFormat(name: string, isSummed: boolean): Format {
  const batch = new BatchView();
  const encode = (all: Float64Array): Uint8Array => {
    encoder.clear();
    for (let at = 0; at < all.length; at += FIELDS) {
      encoder.accept(all, at, 1, all[at + 4]!, all[at + 5]!);
      encoder.intend(all, at, 1, SENT, DEFAULT, all[at + 6]!, 1, 0);
      encoder.book(all, at, 1, DEFAULT, all[at + 6]!, all[at + 7]!, all[at + 4]!, 1);
    }
    const sizes = [44, 44, 56].reduce((sum, size) => sum + size) * (all.length / FIELDS);
    const length = isSummed ? encoder.finish(ORIGIN) : BATCH_HEADER_BYTES + sizes;
    return encoder.bytes.subarray(0, length);
  };
  const decode = (bytes: Uint8Array): number => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (isSummed) assert.ok(readBatch({ bytes, view }, 0, bytes.length, batch));
    let sum = 0;
    for (let at = BATCH_HEADER_BYTES; at < bytes.length; at += recordBytes(view, at)) {
      for (let word = 8; word < 24; word += 4) sum += view.getInt32(at + word);
      sum += view.getUint32(at + 24, true);
      const kind = recordKind(view, at);
      sum += view.getFloat64(at + 28, true);
      if (kind === INTEND) sum += view.getUint16(at + 36, true);
      else sum += view.getFloat64(at + 36, true);
      if (kind === BOOK) sum += view.getFloat64(at + 44, true) + view.getUint16(at + 52, true);
    }
    return sum;
  };
  return { name, encode, decode };
}

interface Record_<Id> {
  readonly kind: number;
  readonly id: Id;
  readonly origin: number;
  readonly cents?: number;
  readonly acceptedAt?: number;
  readonly state?: number;
  readonly processor?: number;
  readonly requestedAt?: number;
  readonly settledAt?: number;
  readonly attempts?: number;
}

/** The three records of each payment, as objects. */
function objectsOf<Id>(all: Float64Array, idOf: (all: Float64Array, at: number) => Id): Record_<Id>[] {
  const records: Record_<Id>[] = [];
  for (let at = 0; at < all.length; at += FIELDS) {
    const id = idOf(all, at);
    const [cents, acceptedAt, requestedAt, settledAt] = [
      all[at + 4]!,
      all[at + 5]!,
      all[at + 6]!,
      all[at + 7]!,
    ];
    records.push(
      { kind: ACCEPT, id, origin: 1, cents, acceptedAt },
      { kind: INTEND, id, origin: 1, state: SENT, processor: DEFAULT, requestedAt, attempts: 1 },
      { kind: BOOK, id, origin: 1, processor: DEFAULT, requestedAt, settledAt, cents, attempts: 1 },
    );
  }
  return records;
}

function sumOf<Id>(record: Record_<Id>, words: Int32Array): number {
  const { origin, cents = 0, acceptedAt = 0, requestedAt = 0, settledAt = 0, attempts = 0 } = record;
  const id = words[0]! + words[1]! + words[2]! + words[3]!;
  return id + origin + cents + acceptedAt + requestedAt + settledAt + attempts;
}

const idBytesAt = (all: Float64Array, at: number): Uint8Array => {
  const bytes = new Uint8Array(16);
  writeIdBytes(all, at, bytes, 0);
  return bytes;
};

/** One sum for a batch: what finds damage, if not where it is. */
function withSum(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, crc32(bytes, SUM_BYTES, bytes.length), true);
  return bytes;
}

function withoutSum(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  assert.equal(view.getUint32(0, true), crc32(bytes, SUM_BYTES, bytes.length));
  return bytes.subarray(SUM_BYTES);
}

const target = Buffer.alloc(1024 * 1024);

const json: Format = {
  name: 'JSON',
  encode(all) {
    let text = '';
    for (const record of objectsOf(all, (from, at) => idText(idBytesAt(from, at))))
      text += `${JSON.stringify(record)}\n`;
    return withSum(target.subarray(0, SUM_BYTES + target.write(text, SUM_BYTES)));
  },
  decode(bytes) {
    let sum = 0;
    const text = Buffer.from(withoutSum(bytes)).toString();
    for (let from = 0; from < text.length; ) {
      const end = text.indexOf('\n', from);
      const record = JSON.parse(text.slice(from, end)) as Record_<string>;
      sum += sumOf(record, idTextWords(record.id));
      from = end + 1;
    }
    return sum;
  },
};

const packr = new Packr({ useRecords: false, mapsAsObjects: true });

/** What MessagePack's `pack` makes of the objects in a batch, or of arrays in their place. */
function packed(value: unknown): Uint8Array {
  const bytes = packr.pack(value);
  target.set(bytes, SUM_BYTES);
  return withSum(target.subarray(0, SUM_BYTES + bytes.length));
}

const messagePack: Format = {
  name: 'MessagePack',
  encode: all => packed(objectsOf(all, idBytesAt)),
  decode(bytes) {
    let sum = 0;
    for (const record of packr.unpack(withoutSum(bytes)) as Record_<Uint8Array>[])
      sum += sumOf(record, idWords(record.id));
    return sum;
  },
};

/** Kind, id, and then the numbers that a sum is of, in any order. */
const messagePackArrays: Format = {
  name: 'MessagePack, arrays',
  encode(all) {
    const records: unknown[] = [];
    for (let at = 0; at < all.length; at += FIELDS) {
      const id = idBytesAt(all, at);
      const [cents, acceptedAt, requestedAt, settledAt] = all.subarray(at + 4, at + FIELDS);
      records.push([ACCEPT, id, 1, cents, acceptedAt], [INTEND, id, 1, requestedAt, 1, SENT, DEFAULT]);
      records.push([BOOK, id, 1, requestedAt, settledAt, cents, 1, DEFAULT]);
    }
    return packed(records);
  },
  decode(bytes) {
    let sum = 0;
    for (const record of packr.unpack(withoutSum(bytes)) as (number & Uint8Array)[][]) {
      const words = idWords(record[1]!);
      const end = record[0] === ACCEPT ? record.length : record.length - (record[0] === INTEND ? 2 : 1);
      for (let at = 2; at < end; at++) sum += record[at]!;
      sum += words[0]! + words[1]! + words[2]! + words[3]!;
    }
    return sum;
  },
};

const FORMATS = [
  ownFormat('the log', true),
  ownFormat('the log, without sums', false),
  json,
  messagePack,
  messagePackArrays,
];

const cpuNs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
};

/** Nanoseconds for each call of `work`, over some tens of milliseconds. */
function timeOf(work: () => void, clock: () => number): number {
  let calls = 0;
  const [from, endMs] = [clock(), performance.now() + ROUND_MS];
  while (performance.now() < endMs) {
    for (let again = 0; again < 16; again++) work();
    calls += 16;
  }
  return (clock() - from) / calls;
}

const rounds = Number(process.argv[2] ?? 15);
const folder = mkdtempSync(join(tmpdir(), 'soquete-wire-'));
const wallNs = (): number => performance.now() * 1e6;

for (const count of BATCHES) {
  const all = payments(count);
  const records = count * RECORDS_A_PAYMENT;
  const figures = FORMATS.map(() => ({
    encode: [] as number[],
    decode: [] as number[],
    write: [] as number[],
  }));
  const sums = new Set<number>();
  const sizes = FORMATS.map(({ encode }) => encode(all).length);
  for (let round = 0; round < rounds; round++) {
    for (const [at, format] of FORMATS.entries()) {
      const of = figures[at]!;
      of.encode.push(timeOf(() => format.encode(all), cpuNs) / records);
      const bytes = Uint8Array.from(format.encode(all));
      of.decode.push(timeOf(() => sums.add(format.decode(bytes)), cpuNs) / records);
      const file = openSync(join(folder, `${at}`), 'w');
      of.write.push(timeOf(() => writeSync(file, bytes), wallNs) / records);
      closeSync(file);
    }
  }
  assert.equal(sums.size, 1, 'the same was read of all');
  const base = figures[0]!;
  const totals = (of: (typeof figures)[number]): number => median(of.encode) + median(of.write);
  const ratio = (value: number, to: number): string => `${number(value)} (${(value / to).toFixed(2)})`;
  const lines = FORMATS.map(({ name }, at) => {
    const of = figures[at]!;
    return [
      name,
      ratio(sizes[at]! / records, sizes[0]! / records),
      ratio(median(of.encode), median(base.encode)),
      ratio(median(of.decode), median(base.decode)),
      ratio(median(of.write), median(base.write)),
      `${Math.round((median(of.encode) / totals(of)) * 100)} %`,
      number(totals(base) / totals(of)),
    ];
  });
  console.log(`\nbatches of ${records} records, for each record (and as a ratio to the log's)`);
  const head = ['format', 'bytes', 'encode ns', 'decode ns', 'write ns', 'encoding', 'writes a second'];
  console.log(table(head, lines));
}
rmSync(folder, { recursive: true });
