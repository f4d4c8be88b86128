/**
 * A database with up to a hundred million settled payments, made by SQL in minutes: rows and totals as the
 * engine would have written them, and the trees over the rows when all of them are there.
 */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { type Joined, promised } from '../../src/storage/ports.ts';
import { PostgresStore } from '../../src/storage/postgres/postgres-store.ts';
import { parsePostgresUrl } from '../../src/storage/postgres/url.ts';
import { SEQS_A_BATCH } from '../../src/storage/postgres/write-function.ts';
import { LEVELS, RADIX } from '../../src/storage/rollups.ts';
import { systemClock } from '../../src/system-clock.ts';
import type { PostgresServer } from '../../src/testing/postgres-server.ts';

/** What each of the payments is of, in cents. */
export const OLD_CENTS = 1990;
/** So many have each millisecond of `requestedAt`; the last of them was settled on fallback. */
export const OLD_PER_MS = 10;
const ROWS_A_STEP = 2_000_000;
const OWNER = 'history';

export interface PostgresHistory {
  /** `requestedAt` of the first payments, and of the last ones. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** All of its tables and trees. */
  readonly bytes: number;
}

/** The id of a payment by its number, from 1. */
export function oldId(number: number): string {
  const hex = createHash('md5').update(String(number)).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** What the server is to be started with while it is filled: nothing of that has to survive its death. */
export const WHILE_FILLED = {
  wal_level: 'minimal',
  max_wal_senders: '0',
  fsync: 'off',
  maintenance_work_mem: '1GB',
  max_parallel_maintenance_workers: '1',
  autovacuum: 'off',
};
/** And what it is started with afterwards. */
export const AFTER_FILLING = { fsync: 'on', autovacuum: 'on' };

/** Puts so many payments, a multiple of 10, into an empty database; the last one is an hour old. */
export async function fillPostgres(
  server: PostgresServer,
  payments: number,
  tell: (what: string) => void,
): Promise<PostgresHistory> {
  await makeTables(server);
  const lastMs = Date.now() - 3_600_000;
  const firstMs = lastMs - payments / OLD_PER_MS + 1;
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  try {
    await client.query('SET search_path = soquete');
    const { rows: trees } = await client.query<{ name: string; made: string }>(
      `SELECT indexname AS name, indexdef AS made FROM pg_indexes
        WHERE schemaname = 'soquete' AND tablename = 'settled'`,
    );
    // Emptied in the same transaction, so that rows are not written to the WAL first.
    await client.query('BEGIN; TRUNCATE settled; ALTER TABLE settled DROP CONSTRAINT settled_pkey');
    for (const { name } of trees) await client.query(`DROP INDEX IF EXISTS ${name}`);
    for (let first = 1; first <= payments; first += ROWS_A_STEP) {
      const last = Math.min(payments, first + ROWS_A_STEP - 1);
      await client.query(`
        INSERT INTO settled (id, seq, cents, accepted_at, requested_at, settled_at, origin, owner, attempts,
            tries, processor)
          SELECT md5(n::text)::uuid, n, ${OLD_CENTS}, at, at, at + 5, 1, i.number, 1, 0,
            (n % ${OLD_PER_MS} = 0)::int
          FROM generate_series(${first}, ${last}) AS g(n)
            CROSS JOIN LATERAL (SELECT ${firstMs} + (n - 1) / ${OLD_PER_MS} AS at) a
            CROSS JOIN (SELECT number FROM instances WHERE name = '${OWNER}') i`);
      tell(`${payments.toLocaleString('en-US')} payments, ${Math.round((last / payments) * 100)} %`);
    }
    for (const { name, made } of trees) {
      tell(`building ${name}`);
      await client.query(made);
    }
    await client.query(
      'ALTER TABLE settled ADD CONSTRAINT settled_pkey PRIMARY KEY USING INDEX settled_pkey',
    );
    tell('adding up');
    for (let level = 1; level < LEVELS; level++) await client.query(sumsOf(level));
    await client.query(`SELECT setval('seq', ${Math.ceil(payments / SEQS_A_BATCH) * SEQS_A_BATCH + 1})`);
    await client.query('COMMIT');
    // As it would have been done long ago, a part at a time.
    tell('vacuuming');
    await client.query('VACUUM (FREEZE, ANALYZE) settled');
    await client.query('VACUUM ANALYZE totals');
    const { rows } = await client.query(
      `SELECT sum(pg_total_relation_size(c.oid))::float8 AS bytes FROM pg_class c
        WHERE c.relnamespace = 'soquete'::regnamespace AND c.relkind = 'r'`,
    );
    return { firstMs, lastMs, bytes: rows[0].bytes };
  } finally {
    await client.end();
  }
}

/** By the engine itself, which also has the instance join that is said to have settled everything. */
async function makeTables(server: PostgresServer): Promise<void> {
  const url = parsePostgresUrl(server.url())!;
  const store = await PostgresStore.open({ url, clock: systemClock, ackAfter: 'commit', application: OWNER });
  await promised<Joined>(reply => store.join(OWNER, reply));
  await promised(reply => store.leave(reply));
}

/** Of the payments, and then of the level below. */
const sumsOf = (level: number): string =>
  level === 1
    ? `INSERT INTO totals SELECT 1, owner, requested_at / ${RADIX}, processor, count(*), sum(cents / 1000000),
        sum(cents % 1000000) FROM settled GROUP BY owner, requested_at / ${RADIX}, processor`
    : `INSERT INTO totals SELECT ${level}, owner, bucket / ${RADIX}, processor, sum(count), sum(high), sum(low)
        FROM totals WHERE level = ${level - 1} GROUP BY owner, bucket / ${RADIX}, processor`;
