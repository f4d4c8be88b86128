/**
 * A batch is one call of a function, so one statement and one transaction: one round trip, through any
 * pooler, and the server keeps the plans.
 *
 * Rows on different payments may be carried out in any order, so they are carried out together. Where a batch
 * has several rows on one payment, the second is of the second wave, and so on (`batch-arrays.ts`).
 *
 * Of an id the first INSERT that commits counts, in whatever order instances ask: the primary key of `queue`
 * decides, and a second look at `settled`, with a later snapshot, finds the payment that another instance has
 * accepted and settled between our first look and our insert.
 */

/**
 * Plans are made for arrays of unknown length and for tables that were empty then: only ways that stay right
 * as tables grow.
 */
export const PLANS =
  'SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off';

export const writeFunctionOf = (schema: string): string => `
CREATE FUNCTION ${schema}.write_batch(
  p_name text, p_epoch bigint, p_generation bigint, p_batch bigint, p_count int, p_waves int,
  p_started text, p_commit text,
  put_at int[], put_wave int[], put_id uuid[], put_cents bigint[], put_accepted bigint[], put_origin bigint[],
  put_state int[], put_processor int[], put_requested bigint[], put_attempts int[], put_tries int[],
  change_at int[], change_wave int[], change_id uuid[], change_seq bigint[], change_state int[],
  change_processor int[], change_requested bigint[], change_attempts int[], change_tries int[], change_held int[],
  change_retry float8[],
  ended_at int[], ended_wave int[], ended_id uuid[], ended_number int[], ended_requested bigint[],
  ended_when bigint[], ended_duration float8[], ended_processor int[], ended_outcome int[],
  settle_at int[], settle_wave int[], settle_id uuid[], settle_seq bigint[], settle_processor int[],
  settle_requested bigint[], settle_attempts int[], settle_when bigint[],
  OUT fault text, OUT generation bigint, OUT results smallint[], OUT new_ids uuid[], OUT new_seqs bigint[],
  OUT lsn text
) LANGUAGE plpgsql ${PLANS} AS $$
#variable_conflict use_column
DECLARE
  me record;
  r record;
  wave_ids uuid[];
  wave_seqs bigint[];
  wanted int;
  settled_count int := 0;
BEGIN
  fault := '';
  -- The server, or the one behind the pooler, is not the one that the caller knows.
  IF extract(epoch FROM pg_postmaster_start_time())::text <> p_started THEN
    fault := 'restarted';
    RETURN;
  END IF;
  PERFORM set_config('synchronous_commit', p_commit, true);
  SELECT i.* INTO me FROM ${schema}.instances i WHERE i.name = p_name FOR NO KEY UPDATE;
  IF NOT FOUND OR me.epoch <> p_epoch THEN
    fault := 'fenced';
    RETURN;
  END IF;
  generation := me.generation;
  IF me.generation <> p_generation THEN
    results := array_fill((-2)::smallint, ARRAY[p_count]);
    RETURN;
  END IF;
  lsn := pg_current_wal_insert_lsn()::text;
  IF p_batch > 0 AND me.batch = p_batch THEN
    results := me.results;
    -- A commit that waits for the disk and the standby again: the first one may have been cut short in that.
    UPDATE ${schema}.instances SET batch = p_batch WHERE name = p_name;
    SELECT array_agg(k.id), array_agg(k.seq) INTO new_ids, new_seqs
      FROM unnest(put_at, put_id) AS p(at, id)
      CROSS JOIN LATERAL (SELECT q.id, q.seq FROM ${schema}.queue q WHERE q.id = p.id
        UNION ALL SELECT s.id, s.seq FROM ${schema}.settled s WHERE s.id = p.id) k
      WHERE (me.results)[p.at] = 0;
    RETURN;
  END IF;
  results := array_fill((-1)::smallint, ARRAY[p_count]);

  FOR w IN 0 .. p_waves - 1 LOOP
    IF cardinality(put_at) > 0 THEN
      wanted := 0;
      -- Looked for first, so that what is known already uses up no number.
      FOR r IN
        SELECT p.at, p.cents AS cents, k.cents AS known
          FROM unnest(put_at, put_wave, put_id, put_cents) AS p(at, wave, id, cents)
          LEFT JOIN LATERAL (SELECT q.cents FROM ${schema}.queue q WHERE q.id = p.id
            UNION ALL SELECT s.cents FROM ${schema}.settled s WHERE s.id = p.id) k ON true
          WHERE p.wave = w
      LOOP
        IF r.known IS NULL THEN
          results[r.at] := 0;
          wanted := wanted + 1;
        ELSIF r.known <> r.cents THEN
          results[r.at] := -3;
        END IF;
      END LOOP;
      IF wanted > 0 THEN
        -- Numbers in the order of the rows; inserted in the order of the ids, so that of two instances with
        -- the same ids neither waits for the other in a circle.
        WITH numbered AS MATERIALIZED (
          SELECT nextval('${schema}.seq') AS seq, p.*
            FROM unnest(put_at, put_wave, put_id, put_cents, put_accepted, put_origin, put_state, put_processor,
              put_requested, put_attempts, put_tries)
              AS p(at, wave, id, cents, accepted, origin, state, processor, requested, attempts, tries)
            WHERE p.wave = w AND results[p.at] = 0
        ), inserted AS (
          INSERT INTO ${schema}.queue (id, seq, cents, accepted_at, requested_at, origin, owner, attempts,
              tries, state, processor)
            SELECT n.id, n.seq, n.cents, n.accepted, n.requested, n.origin, me.number, n.attempts, n.tries,
              n.state, n.processor FROM numbered n ORDER BY n.id
            ON CONFLICT (id) DO NOTHING
            RETURNING id, seq
        )
        SELECT array_agg(i.id), array_agg(i.seq) INTO wave_ids, wave_seqs FROM inserted i;
        -- Settled by another instance since the first look.
        FOR r IN
          DELETE FROM ${schema}.queue q USING unnest(wave_ids) AS n(id), ${schema}.settled s
            WHERE q.id = n.id AND s.id = n.id RETURNING q.id
        LOOP
          wave_seqs := array_remove(wave_seqs, wave_seqs[array_position(wave_ids, r.id)]);
          wave_ids := array_remove(wave_ids, r.id);
        END LOOP;
        IF wanted > coalesce(cardinality(wave_ids), 0) THEN
          -- Another instance was first.
          FOR r IN
            SELECT p.at, p.cents AS cents, k.cents AS known
              FROM unnest(put_at, put_wave, put_id, put_cents) AS p(at, wave, id, cents)
              CROSS JOIN LATERAL (SELECT q.cents FROM ${schema}.queue q WHERE q.id = p.id
                UNION ALL SELECT s.cents FROM ${schema}.settled s WHERE s.id = p.id) k
              WHERE p.wave = w AND results[p.at] = 0 AND NOT p.id = ANY (coalesce(wave_ids, '{}'))
          LOOP
            results[r.at] := CASE WHEN r.known = r.cents THEN -1 ELSE -3 END;
            wanted := wanted - 1;
          END LOOP;
          IF wanted <> coalesce(cardinality(wave_ids), 0) THEN
            RAISE EXCEPTION 'a payment was there and is gone' USING ERRCODE = 'serialization_failure';
          END IF;
        END IF;
        new_ids := new_ids || wave_ids;
        new_seqs := new_seqs || wave_seqs;
      END IF;
    END IF;

    IF cardinality(change_at) > 0 THEN
      FOR r IN
        UPDATE ${schema}.queue q SET state = c.state, processor = c.processor, requested_at = c.requested,
            attempts = c.attempts, tries = c.tries, retry_at = c.retry,
            held = CASE WHEN c.held < 0 THEN q.held ELSE c.held END
          FROM unnest(change_at, change_wave, change_id, change_seq, change_state, change_processor,
            change_requested, change_attempts, change_tries, change_held, change_retry)
            AS c(at, wave, id, seq, state, processor, requested, attempts, tries, held, retry)
          WHERE c.wave = w AND q.id = c.id AND q.seq = c.seq AND q.owner = me.number
          RETURNING c.at
      LOOP
        results[r.at] := 1;
      END LOOP;
      INSERT INTO ${schema}.attempts (id, number, requested_at, ended_at, duration_ms, processor, outcome)
        SELECT e.id, e.number, e.requested, e.ended, e.duration, e.processor, e.outcome
          FROM unnest(ended_at, ended_wave, ended_id, ended_number, ended_requested, ended_when,
            ended_duration, ended_processor, ended_outcome)
            AS e(at, wave, id, number, requested, ended, duration, processor, outcome)
          WHERE e.wave = w AND results[e.at] = 1;
    END IF;

    IF cardinality(settle_at) > 0 THEN
      FOR r IN
        WITH gone AS (
          DELETE FROM ${schema}.queue q
            USING unnest(settle_at, settle_wave, settle_id, settle_seq, settle_processor, settle_requested,
              settle_attempts, settle_when)
              AS s(at, wave, id, seq, processor, requested, attempts, settled)
            WHERE s.wave = w AND q.id = s.id AND q.seq = s.seq AND q.owner = me.number
            RETURNING s.at, s.processor AS booked_by, s.requested, s.settled,
              greatest(q.attempts, s.attempts) AS attempts_in_all, q.*
        ), booked AS (
          INSERT INTO ${schema}.settled (id, seq, cents, accepted_at, requested_at, settled_at, origin, owner,
              attempts, tries, processor)
            SELECT g.id, g.seq, g.cents, g.accepted_at, g.requested, g.settled, g.origin, g.owner,
              g.attempts_in_all, g.tries, g.booked_by FROM gone g
        ), summed AS (
          INSERT INTO ${schema}.totals AS t (level, owner, bucket, processor, count, high, low)
            SELECT l.level, me.number, g.requested >> (6 * l.level), g.booked_by, count(*),
              sum(g.cents / 1000000), sum(g.cents % 1000000)
            FROM gone g CROSS JOIN generate_series(1, 6) AS l(level)
            GROUP BY 1, 3, 4
            ON CONFLICT (level, bucket, owner, processor) DO UPDATE
              SET count = t.count + excluded.count, high = t.high + excluded.high, low = t.low + excluded.low
        )
        SELECT g.at FROM gone g
      LOOP
        results[r.at] := 1;
        settled_count := settled_count + 1;
      END LOOP;
    END IF;
  END LOOP;

  UPDATE ${schema}.instances SET batch = p_batch, results = write_batch.results,
      unsettled = unsettled + coalesce(cardinality(new_ids), 0) - settled_count
    WHERE name = p_name;
END $$;
`;
