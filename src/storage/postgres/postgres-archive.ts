/** What leaves PostgreSQL for the archive, in the words of the port. */
import type { ProcessorIndex } from '../../domain/payment.ts';
import { ACT_KINDS, type ActKind } from '../acts.ts';
import type { ArchivedAct, ArchivedAttempt } from '../archive/archive-line.ts';
import type {
  DueFrom,
  DuePage,
  DuePayment,
  GrownFile,
  KeptElsewhere,
  StoreArchive,
} from '../archive/store-archive.ts';
import type { Ask, ResultRow } from './connection.ts';
import { callOf } from './statements.ts';

/** Rows that a page looks at: some milliseconds of a transaction. */
const PAGE_ROWS = 90;

interface DuePlace {
  readonly generation: string;
  /** Acts that are in the files. */
  readonly acts: readonly number[];
}

type NumberedAct = Omit<ArchivedAct, 'kind'> & { readonly kind: ActKind; readonly number: number };

export class PostgresArchive implements StoreArchive {
  readonly #schema: string;
  readonly #ask: Ask;

  /** `ask` throws `StoreFault`. */
  constructor(schema: string, ask: Ask) {
    this.#schema = schema;
    this.#ask = ask;
  }

  async id(): Promise<string> {
    const [row] = await this.#ask({ text: `SELECT store_id FROM ${this.#schema}.deployment` });
    return String(row!['store_id']);
  }

  async keep(keeper: string, where: string): Promise<KeptElsewhere | undefined> {
    const [kept] = await this.#rows('keep_archive', [keeper, where], 'text, text');
    return kept && { where: String(kept['place']), agoMs: Number(kept['ago_ms']) };
  }

  /** In the order of arrival, all behind a seq: what stayed before comes first of itself. */
  async due(beforeMs: number, from: DueFrom): Promise<DuePage> {
    const after = from.is === 'late' ? from.after : '0';
    const values = [after, Math.ceil(beforeMs), PAGE_ROWS];
    const rows = await this.#rows('archive_due', values, 'bigint, bigint, int');
    const due = rows.filter(row => row['is_due'] === true);
    const last = rows.at(-1);
    const place: DuePlace = {
      generation: String(last?.['generation'] ?? ''),
      acts: due.flatMap(row => actsOf(row).map(({ number }) => number)),
    };
    // Behind one that was accepted too late are those that came later.
    const isMore = rows.length === PAGE_ROWS && Number(last!['accepted_at']) < beforeMs;
    return {
      payments: due.map(dueOf),
      place,
      next: isMore ? { is: 'late', after: String(last!['seq']) } : undefined,
    };
  }

  async move(
    keeper: string,
    page: DuePage,
    files: readonly GrownFile[],
    exactFromMs: number,
  ): Promise<boolean> {
    if (page.payments.length === 0) return true;
    const { generation, acts } = page.place as DuePlace;
    const ids = page.payments.map(({ row }) => row.id.toHex());
    const values = [
      ...[keeper, generation, ids, acts, Math.ceil(exactFromMs)],
      ...[files.map(({ day }) => day), files.map(({ part }) => part), files.map(({ name }) => name)],
      ...[files.map(({ before }) => before), files.map(({ bytes }) => bytes)],
    ];
    const types = 'text, bigint, uuid[], bigint[], bigint, text[], int[], text[], bigint[], bigint[]';
    return (await this.#answer('archive_page', values, types)) === true;
  }

  async forget(idsBeforeMs: number, from: number): Promise<{ forgotten: number; next: number }> {
    const answer = await this.#answer('forget_ids', [Math.ceil(idsBeforeMs), from], 'bigint, bigint');
    return answer as { forgotten: number; next: number };
  }

  async filesOf(names: readonly string[]): Promise<number[]> {
    return (await this.#rows('archive_files_of', [names], 'text[]')).map(({ size }) => Number(size));
  }

  async grown(): Promise<{ name: string; bytes: number }[]> {
    const rows = await this.#rows('grown_files', [], '');
    return rows.map(({ name, bytes }) => ({ name: String(name), bytes: Number(bytes) }));
  }

  async summed(files: readonly { name: string; bytes: number }[]): Promise<void> {
    const values = [files.map(({ name }) => name), files.map(({ bytes }) => bytes)];
    if (files.length > 0) await this.#answer('files_summed', values, 'text[], bigint[]');
  }

  #rows(name: string, values: readonly unknown[], types: string): Promise<ResultRow[]> {
    return this.#ask(callOf(this.#schema, name, values, types, 'SELECT * FROM'));
  }

  async #answer(name: string, values: readonly unknown[], types: string): Promise<unknown> {
    return (await this.#ask(callOf(this.#schema, name, values, types)))[0]!['answer'];
  }
}

const actsOf = (row: ResultRow): NumberedAct[] => (row['acts'] ?? []) as NumberedAct[];

const dueOf = (row: ResultRow): DuePayment => ({
  row: {
    seq: Number(row['seq']),
    id: Uint8Array.fromHex(String(row['id']).replaceAll('-', '')),
    cents: Number(row['cents']),
    accepted_at: Number(row['accepted_at']),
    processor: Number(row['processor']) as ProcessorIndex,
    requested_at: Number(row['requested_at']),
    attempts: Number(row['attempts']),
    settled_at: Number(row['settled_at']),
  },
  attempts: (row['failed'] ?? []) as ArchivedAttempt[],
  acts: actsOf(row).map(({ at, kind, who, text }) => ({ at, kind: ACT_KINDS.indexOf(kind), who, text })),
});
