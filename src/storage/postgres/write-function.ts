/**
 * A batch is one call of a function, so one statement and one transaction: one round trip, through any
 * pooler, and the server keeps the plans.
 *
 * Rows on different payments may be carried out in any order, so they are carried out together. Where a batch
 * has several rows on one payment, the second is of the second wave, and so on (`batch-arrays.ts`).
 *
 * Of an id the first INSERT that commits counts, in whatever order instances ask: the primary key of `queue`
 * decides, and a look at `settled` and `archived` behind it, with a later snapshot, finds the payment that
 * was over before, or that another instance accepted and settled meanwhile.
 *
 * Most batches have a few rows, so statements are what costs, not rows. What has no rows is not run; each
 * kind of row comes in two arrays, its ids and its numbers, in which places are counted (an array a
 * column, each unnested, took twice the time); results are only made where one is not what was expected;
 * and settlements wait in the row of their instance, until they are added to the totals together.
 */

/**
 * Plans are made once, for arrays of unknown length and for tables that were empty then: only ways that stay
 * right as tables grow. Without the first, each batch was planned anew, which took as long as the rest of it.
 */
export const PLANS =
  'SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off ' +
  'SET enable_mergejoin = off SET jit = off';

/** The numbers of each kind of row, in their order. */
const PUT = [
  ...['at', 'wave', 'cents', 'accepted', 'origin', 'state', 'processor', 'requested', 'attempts', 'tries'],
] as const;
const CHANGE = [
  ...['at', 'wave', 'seq', 'state', 'processor', 'requested', 'attempts', 'tries', 'held', 'retry'],
] as const;
const ENDED = ['at', 'wave', 'number', 'requested', 'ended', 'duration', 'processor', 'outcome'] as const;
const SETTLE = ['at', 'wave', 'seq', 'processor', 'requested', 'attempts', 'settled'] as const;

/** The way to a number of row `i` (from 0) in its array. */
const numbersOf =
  <Name extends string>(array: string, names: readonly Name[], i: string) =>
  (name: Name): string =>
    `${array}[${names.length} * ${i} + ${names.indexOf(name) + 1}]`;

/** So many settlements wait in the row of an instance at most: each of its batches writes them again. */
const FRESH_MAX = 32;
/** Apart from each other are the numbers that two batches give: more than a batch may have rows. */
export const SEQS_A_BATCH = 4096;

const put = numbersOf('puts', PUT, 'p.i');
const change = numbersOf('changes', CHANGE, 'c.i');
const end = numbersOf('ends', ENDED, 'e.i');
const settle = numbersOf('settles', SETTLE, 's.i');
const isIn = (wave: string): string => `(p_waves = 1 OR ${wave} = w)`;

/**
 * Returns `fenced`, `restarted`, `lost` and how many calls are missing, or the generation, the number of the
 * first row, the position in the WAL, the step, and the results (nothing where each is as expected: a put is
 * new, anything else took effect), with bars between.
 */
export const writeFunctionOf = (schema: string): string => `
CREATE FUNCTION ${schema}.write_batch(
  p_name text, p_epoch bigint, p_generation bigint, p_batch bigint, p_count int, p_waves int,
  p_started text, p_commit text, p_step bigint,
  put_ids uuid[], puts bigint[], change_ids uuid[], changes float8[], ended_ids uuid[], ends float8[],
  settle_ids uuid[], settles bigint[]
) RETURNS text LANGUAGE plpgsql ${PLANS} AS $$
#variable_conflict use_column
DECLARE
  me record;
  r record;
  gone record;
  v_lsn text;
  v_base bigint := 0;
  v_results smallint[];
  -- The last row of each kind.
  last_put int := cardinality(put_ids) - 1;
  last_change int := cardinality(change_ids) - 1;
  last_ended int := cardinality(ended_ids) - 1;
  last_settle int := cardinality(settle_ids) - 1;
  wanted int;
  done int;
  places int[];
  over uuid[];
  new_count int := 0;
  settled_count int := 0;
BEGIN
  -- The server, or the one behind the pooler, is not the one that the caller knows.
  IF extract(epoch FROM pg_postmaster_start_time())::text <> p_started THEN RETURN 'restarted'; END IF;
  IF current_setting('synchronous_commit') <> p_commit THEN
    PERFORM set_config('synchronous_commit', p_commit, true);
  END IF;
  SELECT i.* INTO me FROM ${schema}.instances i WHERE i.name = p_name FOR NO KEY UPDATE;
  IF NOT FOUND OR me.epoch <> p_epoch THEN RETURN 'fenced'; END IF;
  IF me.step < p_step THEN RETURN concat_ws('|', 'lost', p_step - me.step); END IF;
  IF me.generation <> p_generation THEN RETURN concat_ws('|', me.generation, 0, ''); END IF;
  v_lsn := pg_current_wal_insert_lsn()::text;
  IF p_batch > 0 AND me.batch = p_batch THEN
    -- A commit that waits for the disk and the standby again: the first one may have been cut short in that.
    UPDATE ${schema}.instances SET batch = p_batch WHERE name = p_name;
    RETURN concat_ws('|', me.generation, me.base, v_lsn, me.step, array_to_string(me.results, ','));
  END IF;

  FOR w IN 0 .. p_waves - 1 LOOP
    IF last_put >= 0 THEN
      IF v_base = 0 THEN v_base := nextval('${schema}.seq'); END IF;
      -- They come in the order of the ids, so that of two instances with the same ids neither waits for the
      -- other in a circle.
      INSERT INTO ${schema}.queue (id, seq, cents, accepted_at, requested_at, origin, owner, attempts, tries,
          state, processor)
        SELECT put_ids[p.i + 1], v_base + ${put('at')} - 1, ${put('cents')}, ${put('accepted')}, ${put('requested')},
          ${put('origin')}, me.number, ${put('attempts')}, ${put('tries')},
          CASE WHEN ${put('state')} = 0 AND ${put('accepted')} < me.asks_until THEN -1 ELSE ${put('state')} END,
          ${put('processor')}
          FROM generate_series(0, last_put) AS p(i) WHERE ${isIn(put('wave'))}
        ON CONFLICT (id) DO NOTHING;
      GET DIAGNOSTICS done = ROW_COUNT;
      SELECT array_agg(k.id) INTO over
        FROM generate_series(0, last_put) AS p(i)
        CROSS JOIN LATERAL (SELECT s.id FROM ${schema}.settled s WHERE s.id = put_ids[p.i + 1]
          UNION ALL SELECT a.id FROM ${schema}.archived a WHERE a.id = put_ids[p.i + 1]) k
        WHERE ${isIn(put('wave'))};
      IF over IS NOT NULL THEN
        DELETE FROM ${schema}.queue q USING unnest(over) AS o(id) WHERE q.id = o.id;
        GET DIAGNOSTICS wanted = ROW_COUNT;
        done := done - wanted;
      END IF;
      new_count := new_count + done;
      IF done <= last_put THEN
        wanted := done;
        FOR r IN
          SELECT ${put('at')} AS at, k.seq, ${put('cents')} = k.cents AS is_same
            FROM generate_series(0, last_put) AS p(i)
            LEFT JOIN LATERAL (SELECT q.seq, q.cents FROM ${schema}.queue q WHERE q.id = put_ids[p.i + 1]
              UNION ALL SELECT s.seq, s.cents FROM ${schema}.settled s WHERE s.id = put_ids[p.i + 1]
              UNION ALL SELECT 0, a.cents FROM ${schema}.archived a WHERE a.id = put_ids[p.i + 1]) k ON true
            WHERE ${isIn(put('wave'))}
        LOOP
          IF r.seq IS NULL THEN
            RAISE EXCEPTION 'a payment was there and is gone' USING ERRCODE = 'serialization_failure';
          ELSIF r.seq = v_base + r.at - 1 THEN
            wanted := wanted - 1;
          ELSE
            IF v_results IS NULL THEN
              v_results := ${schema}.expected_results(p_count, puts);
            END IF;
            v_results[r.at] := CASE WHEN r.is_same THEN -1 ELSE -3 END;
          END IF;
        END LOOP;
        ASSERT wanted = 0, 'each payment is known or new';
      END IF;
    END IF;

    IF last_change >= 0 THEN
      WITH changed AS (
        UPDATE ${schema}.queue q SET state = ${change('state')}, processor = ${change('processor')},
            requested_at = ${change('requested')}, attempts = ${change('attempts')}, tries = ${change('tries')},
            retry_at = ${change('retry')},
            held = CASE WHEN ${change('held')} < 0 THEN q.held ELSE ${change('held')} END
          FROM generate_series(0, last_change) AS c(i)
          WHERE ${isIn(change('wave'))} AND q.id = change_ids[c.i + 1] AND q.seq = ${change('seq')}::bigint
            AND q.owner = me.number
          RETURNING c.i
      )
      SELECT array_agg(c.i) INTO places FROM changed c;
      IF coalesce(cardinality(places), 0) <= last_change THEN
        IF v_results IS NULL THEN v_results := ${schema}.expected_results(p_count, puts); END IF;
        FOR r IN SELECT ${change('at')}::int AS at FROM generate_series(0, last_change) AS c(i)
          WHERE ${isIn(change('wave'))} AND NOT c.i = ANY (coalesce(places, '{}'))
        LOOP
          v_results[r.at] := -1;
        END LOOP;
      END IF;
      IF last_ended >= 0 THEN
        INSERT INTO ${schema}.attempts (id, number, requested_at, ended_at, duration_ms, processor, outcome)
          SELECT ended_ids[e.i + 1], ${end('number')}, ${end('requested')}, ${end('ended')}, ${end('duration')},
            ${end('processor')}, ${end('outcome')} FROM generate_series(0, last_ended) AS e(i)
            WHERE ${isIn(end('wave'))} AND (v_results IS NULL OR v_results[${end('at')}::int] = 1);
      END IF;
    END IF;

    IF last_settle >= 0 THEN
      WITH gone AS (
        DELETE FROM ${schema}.queue q USING generate_series(0, last_settle) AS s(i)
          WHERE ${isIn(settle('wave'))} AND q.id = settle_ids[s.i + 1] AND q.seq = ${settle('seq')}
            AND q.owner = me.number
          RETURNING s.i, ${settle('processor')}::smallint AS booked_by, ${settle('requested')} AS requested,
            ${settle('settled')} AS settled, greatest(q.attempts, ${settle('attempts')}) AS attempts_in_all, q.*
      ), booked AS (
        INSERT INTO ${schema}.settled (id, seq, cents, accepted_at, requested_at, settled_at, origin, owner,
            attempts, tries, processor)
          SELECT g.id, g.seq, g.cents, g.accepted_at, g.requested, g.settled, g.origin, g.owner,
            g.attempts_in_all, g.tries, g.booked_by FROM gone g
      )
      SELECT array_agg(g.i) AS places, array_agg(g.requested) AS requested, array_agg(g.booked_by) AS booked_by,
          array_agg(g.cents) AS cents, count(*)::int AS count
        INTO gone FROM gone g;
      settled_count := settled_count + gone.count;
      me.fresh_requested := me.fresh_requested || gone.requested;
      me.fresh_processor := me.fresh_processor || gone.booked_by;
      me.fresh_cents := me.fresh_cents || gone.cents;
      IF gone.count <= last_settle THEN
        IF v_results IS NULL THEN v_results := ${schema}.expected_results(p_count, puts); END IF;
        FOR r IN SELECT ${settle('at')}::int AS at FROM generate_series(0, last_settle) AS s(i)
          WHERE ${isIn(settle('wave'))} AND NOT s.i = ANY (coalesce(gone.places, '{}'))
        LOOP
          v_results[r.at] := -1;
        END LOOP;
      END IF;
    END IF;
  END LOOP;

  IF cardinality(me.fresh_requested) > ${FRESH_MAX} THEN
    INSERT INTO ${schema}.totals AS t (level, owner, bucket, processor, count, high, low)
      SELECT l.level, me.number, f.requested >> (6 * l.level), f.processor, count(*), sum(f.cents / 1000000),
        sum(f.cents % 1000000)
      FROM unnest(me.fresh_requested, me.fresh_processor, me.fresh_cents) AS f(requested, processor, cents)
        CROSS JOIN generate_series(1, 6) AS l(level)
      GROUP BY 1, 3, 4
      ORDER BY 1, 3, 4
      ON CONFLICT (level, bucket, owner, processor) DO UPDATE
        SET count = t.count + excluded.count, high = t.high + excluded.high, low = t.low + excluded.low;
    me.fresh_requested := '{}';
    me.fresh_processor := '{}';
    me.fresh_cents := '{}';
  END IF;
  UPDATE ${schema}.instances SET batch = p_batch, step = step + 1, base = v_base, results = v_results,
      unsettled = unsettled + new_count - settled_count, fresh_requested = me.fresh_requested,
      fresh_processor = me.fresh_processor, fresh_cents = me.fresh_cents
    WHERE name = p_name;
  RETURN concat_ws('|', me.generation, v_base, v_lsn, me.step + 1, array_to_string(v_results, ','));
END $$;

-- Before anything is found to be otherwise. 0: a payment that is new.
CREATE FUNCTION ${schema}.expected_results(p_count int, puts bigint[])
RETURNS smallint[] LANGUAGE plpgsql AS $$
DECLARE
  results smallint[] := array_fill(1::smallint, ARRAY[p_count]);
BEGIN
  FOR i IN 0 .. cardinality(puts) / ${PUT.length} - 1 LOOP
    results[puts[${PUT.length} * i + 1]] := 0;
  END LOOP;
  RETURN results;
END $$;
`;
