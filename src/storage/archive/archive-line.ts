/** A settled payment as the archive has it: one line of JSON, with all that was known of it. */
import { zstdDecompressSync } from 'node:zlib';
import { formatInstant } from '../../domain/instant.ts';
import { decimal } from '../../domain/money.ts';
import { OUTCOMES } from '../../domain/outcome.ts';
import { idText, PROCESSORS } from '../../domain/payment.ts';
import { ACT_KINDS } from '../acts.ts';

export const DAY_MS = 86_400_000;

/** Times are wall-clock milliseconds since 1970. */
export interface ArchivedRow {
  readonly seq: number;
  /** 16 bytes. */
  readonly id: Uint8Array;
  readonly cents: number;
  readonly accepted_at: number;
  readonly processor: 0 | 1;
  readonly requested_at: number;
  readonly attempts: number;
  readonly settled_at: number;
}

export interface ArchivedAttempt {
  readonly n: number;
  readonly ended_at: number;
  readonly processor: number;
  readonly requested_at: number;
  readonly outcome: number;
  readonly duration_ms: number;
}

export interface ArchivedAct {
  readonly at: number;
  readonly kind: number;
  readonly who: string;
  readonly text: string;
}

/** `2026-07-10`: the UTC day of an instant. */
export const dayText = (ms: number): string => formatInstant(ms).slice(0, 10);

/** The first millisecond of the UTC day of an instant. */
export const dayStart = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS;

/** Of a day the first file, and those that follow when it is full. */
export const archiveFileName = (day: string, part: number): string =>
  `${day}${part === 1 ? '' : `.${String(part).padStart(3, '0')}`}.ndjson.zst`;

/** The line of a payment, with the newline that ends it. */
export function archiveLine(
  row: ArchivedRow,
  attempts: readonly ArchivedAttempt[],
  acts: readonly ArchivedAct[],
): string {
  const text = JSON.stringify({
    correlationId: idText(row.id),
    amount: null,
    status: 'settled',
    processor: PROCESSORS[row.processor],
    requestedAt: formatInstant(row.requested_at),
    acceptedAt: formatInstant(row.accepted_at),
    settledAt: formatInstant(row.settled_at),
    attempts: row.attempts,
    ...(attempts.length > 0 && { failed: attempts.map(failed) }),
    ...(acts.length > 0 && { acts: acts.map(act) }),
  });
  // A number with its two decimals, which no JSON.stringify writes.
  return `${text.replace('"amount":null', `"amount":${decimal(row.cents)}`)}\n`;
}

const failed = (it: ArchivedAttempt): object => ({
  attempt: it.n,
  processor: PROCESSORS[it.processor],
  requestedAt: formatInstant(it.requested_at),
  endedAt: formatInstant(it.ended_at),
  durationMs: it.duration_ms,
  outcome: OUTCOMES[it.outcome],
});

const act = ({ at, kind, who, text }: ArchivedAct): object => ({
  act: ACT_KINDS[kind],
  at: formatInstant(at),
  who,
  text,
});

/** The ids of the payments in an archive's file, line by line. Throws when it is not whole. */
export const unpackedIds = (packed: Uint8Array): string[] =>
  new TextDecoder()
    .decode(zstdDecompressSync(packed))
    .split('\n')
    .slice(0, -1)
    .map(line => (JSON.parse(line) as { correlationId: string }).correlationId);
