/** What leaves Redis for the archive, in the words of the port. */
import { ACT_KINDS } from '../acts.ts';
import type { DueFrom, DuePage, DuePayment, GrownFile, StoreArchive } from '../archive/store-archive.ts';
import type { InspectedAct } from '../inspection.ts';
import type { RedisList } from './answers.ts';
import type { RedisCall } from './inspected-redis.ts';
import { readAttempts, readRecord } from './record.ts';

interface DuePlace {
  readonly generation: string;
  readonly gone: number;
  readonly passed: number;
}

export class RedisArchive implements StoreArchive {
  readonly #call: RedisCall;
  readonly #read: RedisCall;

  /** `read`: calls what changes nothing. Both throw `StoreFault`. */
  constructor(call: RedisCall, read: RedisCall) {
    this.#call = call;
    this.#read = read;
  }

  async id(): Promise<string> {
    return String((await this.#call('keepArchive', ['', '']))[1]);
  }

  async keep(keeper: string, where: string) {
    const [, , isKept, elsewhere, agoMs] = await this.#call('keepArchive', [keeper, where]);
    return Number(isKept) === 1 ? undefined : { where: String(elsewhere), agoMs: Number(agoMs) };
  }

  async due(beforeMs: number, from: DueFrom): Promise<DuePage> {
    const late = from.is === 'late' ? from.after : '';
    const answer = await this.#read('archiveDue', [beforeMs, late]);
    const [, generation, gone, passed, ids, records, attempts, acts, after, more] = answer;
    const payments = (ids as Buffer[]).map((id, at) =>
      dueOf(id, (records as Buffer[])[at]!, (attempts as RedisList)[at], (acts as RedisList)[at]),
    );
    const place: DuePlace = { generation: String(generation), gone: Number(gone), passed: Number(passed) };
    const arrivals = { is: 'arrivals' } as const;
    if (from.is === 'arrivals') return { payments, place, next: Number(more) === 1 ? arrivals : undefined };
    const next = String(after) === '' ? arrivals : ({ is: 'late', after: String(after) } as const);
    return { payments, place, next };
  }

  async move(
    keeper: string,
    page: DuePage,
    files: readonly GrownFile[],
    exactFromMs: number,
  ): Promise<boolean> {
    const { generation, gone, passed } = page.place as DuePlace;
    if (page.payments.length === 0 && passed === 0) return true;
    const ids = Buffer.concat(page.payments.map(({ row }) => row.id));
    const grown = files.flatMap(({ day, part, name, before, bytes }) => [day, part, name, before, bytes]);
    const args = [keeper, generation, gone, passed, exactFromMs, ids, ...grown];
    return Number((await this.#call('archive', args))[1]) === 1;
  }

  async forget(idsBeforeMs: number, from: number): Promise<{ forgotten: number; next: number }> {
    const [, forgotten, next] = await this.#call('forgetIds', [idsBeforeMs, from]);
    return { forgotten: Number(forgotten), next: Number(next) };
  }

  async filesOf(names: readonly string[]): Promise<number[]> {
    return ((await this.#read('archiveFiles', names))[1] as RedisList).map(Number);
  }

  async grown(): Promise<{ name: string; bytes: number }[]> {
    const [, names, lengths] = await this.#read('grownFiles', []);
    return (names as RedisList).map((name, at) => ({
      name: String(name),
      bytes: Number((lengths as RedisList)[at]),
    }));
  }

  async summed(files: readonly { name: string; bytes: number }[]): Promise<void> {
    if (files.length > 0)
      await this.#call(
        'filesSummed',
        files.flatMap(({ name, bytes }) => [name, bytes]),
      );
  }
}

function dueOf(id: Buffer, record: Buffer, attempts: unknown, acts: unknown): DuePayment {
  const {
    cents,
    acceptedAtMs,
    processor,
    requestedAtMs,
    attempts: count,
    settledAtMs,
    seq,
  } = readRecord(id, record);
  return {
    row: {
      ...{ seq, id, cents, processor: processor!, attempts: count },
      ...{ accepted_at: acceptedAtMs, requested_at: requestedAtMs, settled_at: settledAtMs },
    },
    attempts: !Buffer.isBuffer(attempts)
      ? []
      : readAttempts(attempts).map(({ number, endedAtMs, durationMs, requestedAtMs: at, ...rest }) => ({
          ...{ ...rest, n: number, ended_at: endedAtMs, duration_ms: durationMs, requested_at: at },
        })),
    acts: !Buffer.isBuffer(acts)
      ? []
      : String(acts)
          .split('\n')
          .map(line => JSON.parse(line) as InspectedAct)
          .map(({ atMs, kind, who, text }) => ({ at: atMs, kind: ACT_KINDS.indexOf(kind), who, text })),
  };
}
