/** Answers of the library's functions in the words of the port. */
import type { Total } from '../../domain/money.ts';
import type { ProcessorIndex, Summary } from '../../domain/payment.ts';
import type { HealthReport, InstanceView, Shared } from '../ports.ts';
import { RADIX, rangesOf } from '../rollups.ts';
import type { RedisAnswer } from './connection.ts';
import { type OwnedPayment, readRecord } from './record.ts';

export type RedisList = readonly RedisAnswer[];

/** Ids and their records. What is not there is left out. */
export function paymentsIn([, ids, records]: RedisList): OwnedPayment[] {
  const found: OwnedPayment[] = [];
  for (const [at, record] of (records as RedisList).entries()) {
    if (record !== null) found.push(readRecord((ids as Buffer[])[at]!, record as Buffer));
  }
  return found;
}

/** Of `look` and `beat`. */
export function sharedIn(answer: RedisList): Shared {
  const [, generation, term, checker, health, instances] = answer;
  const words = String(health).split(' ');
  const healthOf = (processor: ProcessorIndex): HealthReport => {
    const [failing, minResponseMs, version] = words.slice(processor * 3).map(Number);
    return { failing: failing === 1, minResponseMs: minResponseMs!, version: version! };
  };
  // A name that was taken and never joined has nothing yet.
  const views = (instances as RedisList[]).filter(fields => fields[1] !== null).map(instanceIn);
  return {
    generation: Number(generation),
    term: Number(term),
    instances: views.sort((one, other) => (one.name < other.name ? -1 : 1)),
    health: [healthOf(0), healthOf(1)],
    checker: String(checker),
  };
}

function instanceIn(fields: RedisList): InstanceView {
  const [name, epoch, beat, alive, generation, unsettled, figures] = fields.map(String);
  return {
    name: name!,
    epoch: Number(epoch),
    beat: Number(beat),
    alive: alive === '1',
    generation: Number(generation),
    unsettled: Number(unsettled),
    figures: figures!,
  };
}

/** A pair of names and values each. */
export function pairsIn(list: RedisAnswer): [string, string][] {
  const words = (list as RedisList).map(String);
  return Array.from({ length: words.length / 2 }, (_, at) => [words[at * 2]!, words[at * 2 + 1]!]);
}

const FIELD_BYTES = 8;
/** A single payment in its total of 64 ms: the millisecond, and the cents. */
const SINGLE_BYTES = 6;
/** Before those, of an archived day: the millisecond with 64 added, and the total. */
const SUM_BYTES = 21;
const PART = 1_000_000;
/** Seven bytes. */
const SUM_MASK = (1n << 56n) - 1n;

/** What the function `summary` is asked for a window, and how its answer is read. */
export class SummaryQuestion {
  readonly #fields: Buffer[] = [];
  readonly #tails: Buffer[] = [];
  readonly #windows: { processor: ProcessorIndex; from: number; to: number }[] = [];
  #top: readonly [number, number] = [0, -1];

  constructor(fromMs: number, toMs: number) {
    rangesOf(fromMs, toMs, (level, from, to) => {
      if (level === 6) this.#top = [Math.max(from, 0), Math.min(to, Number.MAX_SAFE_INTEGER)];
      else if (level === 0) this.#addMilliseconds(Math.max(from, 0), to);
      else {
        for (let bucket = Math.max(from, 0); bucket <= to; bucket++) {
          for (const processor of [0, 1] as const) this.#fields.push(fieldOf(level, processor, bucket));
        }
      }
    });
  }

  get args(): (Buffer | string)[] {
    const [first, last] = this.#top;
    return [Buffer.concat(this.#fields), Buffer.concat(this.#tails), String(first), String(last)];
  }

  summaryIn([, sums, tails]: RedisList): Summary {
    const [count0, high0, low0, count1, high1, low1] = (sums as Buffer[]).map(Number);
    const totals: [Total, Total] = [
      { count: count0!, high: high0!, low: low0! },
      { count: count1!, high: high1!, low: low1! },
    ];
    for (const [at, { processor, from, to }] of this.#windows.entries()) {
      const singles = (tails as Buffer[])[at]!;
      const total = totals[processor];
      let start = 0;
      for (; start < singles.length && singles[start]! >= RADIX; start += SUM_BYTES) {
        const ms = singles[start]! - RADIX;
        if (ms < from || ms > to) continue;
        total.count += singles.readUIntBE(start + 1, 6);
        total.high += Number(singles.readBigUInt64BE(start + 6) & SUM_MASK);
        total.low += Number(singles.readBigUInt64BE(start + 13) & SUM_MASK);
      }
      for (; start < singles.length; start += SINGLE_BYTES) {
        const ms = singles[start]!;
        if (ms < from || ms > to) continue;
        const cents = singles.readUIntBE(start + 1, 5);
        total.count += 1;
        total.high += Math.floor(cents / PART);
        total.low += cents % PART;
      }
    }
    return { default: totals[0], fallback: totals[1] };
  }

  /** A range that is not whole at level 1, in as many buckets of it as it touches. */
  #addMilliseconds(from: number, to: number): void {
    for (let bucket = Math.floor(from / RADIX); bucket * RADIX <= to; bucket++) {
      const start = bucket * RADIX;
      for (const processor of [0, 1] as const) {
        this.#tails.push(fieldOf(1, processor, bucket));
        this.#windows.push({ processor, from: from - start, to: to - start });
      }
    }
  }
}

function fieldOf(level: number, processor: ProcessorIndex, bucket: number): Buffer {
  const field = Buffer.alloc(FIELD_BYTES);
  field[0] = level;
  field[1] = processor + 1;
  field.writeUIntBE(Math.min(bucket, 2 ** 48 - 1), 2, 6);
  return field;
}
