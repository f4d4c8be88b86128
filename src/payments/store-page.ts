/** What is one write of the store: a batch, the slots of its rows, and who waits for it. */
import { Batch, COLUMNS, INSERT, KIND } from '../storage/batch.ts';

export interface StorePage {
  readonly batch: Batch;
  /** The slot of each row, NONE for history rows. */
  readonly slots: number[];
  /** Called once this page is written. */
  readonly waiters: (() => void)[];
}

export const newPage = (epoch: number, generation: number): StorePage => ({
  batch: new Batch(epoch, generation),
  slots: [],
  waiters: [],
});

/** The same page without the payments that it was to bring to the store, and the slots of those. */
export function withoutNew(page: StorePage): { rest: StorePage; refused: ReadonlySet<number> } {
  const { epoch, generation, rows, isFlushed } = page.batch;
  const rest: StorePage = { ...page, batch: new Batch(epoch, generation), slots: [] };
  rest.batch.isFlushed = isFlushed;
  const refused = new Set<number>();
  for (const [row, slot] of page.slots.entries()) {
    const start = row * COLUMNS;
    if (rows[start + KIND] === INSERT) refused.add(slot);
    else {
      rest.slots.push(slot);
      const copy = rest.batch.add(rows[start + KIND]!);
      rest.batch.rows.set(rows.subarray(start, start + COLUMNS), copy);
    }
  }
  return { rest, refused };
}
