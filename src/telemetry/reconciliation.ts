/**
 * Compares soquete's books with the processors' own, to the cent.
 *
 * The window closed a moment ago. soquete's sums are read before and after those of the processors: whatever
 * lies between its two answers was settled meanwhile, and is no difference. What remains is one: usually a
 * pinned payment, which the processor has recorded and soquete does not know to be settled yet.
 */

import { totalCents } from '../domain/money.ts';
import type { Summary } from '../domain/payment.ts';
import type { BooksWindow } from '../processor-simulator/admin-client.ts';
import { openAdmin } from './processor-admin.ts';
import type { BooksSide, ReconciledBooks } from './snapshot.ts';

/** From the end of the window to now: longer than an attempt takes that succeeds. */
const SETTLE_DOWN_MS = 3000;

export interface BooksParts {
  readonly urls: readonly [string, string];
  readonly token: string;
  /** Where the window begins, in wall-clock ms. */
  readonly fromMs: number;
  readonly summary: (fromMs: number, toMs: number) => Promise<Summary>;
}

interface Sum {
  readonly count: number;
  readonly cents: number;
}

type Theirs = NonNullable<BooksSide['theirs']>;

/** Compares the books up to a moment before `nowMs`. Rejects when soquete's own sums cannot be read. */
export async function compareBooks(parts: BooksParts, nowMs: number): Promise<ReconciledBooks> {
  const { urls, token, fromMs, summary } = parts;
  const toMs = Math.max(fromMs, nowMs - SETTLE_DOWN_MS);
  const before = await summary(fromMs, toMs);
  const theirs = await Promise.all(urls.map(url => askSum(url, token, { fromMs, toMs })));
  const after = await summary(fromMs, toMs);
  return {
    fromMs,
    toMs,
    atMs: nowMs,
    sides: [
      side(sumOf(before.default), sumOf(after.default), theirs[0]!),
      side(sumOf(before.fallback), sumOf(after.fallback), theirs[1]!),
    ],
  };
}

const sumOf = (total: Summary['default']): Sum => ({
  count: total.count,
  cents: Number(totalCents(total)),
});

/** One processor's side, from soquete's sums before and after, and the processor's own in between. */
export function side(before: Sum, after: Sum, theirs: Theirs | null): BooksSide {
  if (theirs === null) return { ...after, theirs, differenceCents: 0, differenceCount: 0 };
  const ours = {
    count: nearest(before.count, after.count, theirs.count),
    cents: nearest(before.cents, after.cents, theirs.cents),
  };
  return {
    ...ours,
    theirs,
    differenceCents: theirs.cents - ours.cents,
    differenceCount: theirs.count - ours.count,
  };
}

/** The value between `one` and `other` that is nearest to `to`. */
const nearest = (one: number, other: number, to: number): number =>
  Math.min(Math.max(to, Math.min(one, other)), Math.max(one, other));

/** A processor's sum over a window; null when it does not answer, or answers something else. */
async function askSum(url: string, token: string, window: BooksWindow): Promise<Theirs | null> {
  try {
    await using admin = openAdmin(url, token);
    const { count, cents, feePerTransaction: feeShare } = await admin.summary(window);
    return Number.isFinite(feeShare) ? { count, cents: Number(cents), feeShare } : null;
  } catch {
    return null;
  }
}
