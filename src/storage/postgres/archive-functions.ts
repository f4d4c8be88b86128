/**
 * What leaves for the archive, and what stays of it.
 *
 *     archive         one row: who keeps the archive
 *     archived        a row for each archived payment, so that its id is refused and its look-up answered
 *     archive_files   files of the archive: how long they are, and how much of each `SHA256SUMS` speaks of
 *
 * The caller has a page of payments in files, on its disk, before `archive_page` lets them go, and that
 * compares all it is given with what is there: an older view, or a second call, changes nothing. It begins
 * with the lock of `deployment`, as a purge does, so no payment leaves `settled` in between.
 *
 * In the totals an archived payment moves from its millisecond to the first one of its day, in the rows of
 * the instance that settled it: so an empty total goes, and what both have in common is not touched. Level 0
 * is read from the payments themselves, and of those that are archived from `totals`.
 */
import { PLANS } from './write-function.ts';

/** An archive stays with its keeper for so long after that one was last at work. */
const KEEPS_MS = 600_000;
const DAY_LENGTH_MS = 86_400_000;
/** Pages of `archived` that one call looks at: some 3,400 ids. */
const SWEPT_PAGES = 32;

/** The hash of an id takes 37 bytes in its index, the id would take 42; nobody asks for them in order. */
export const archiveTablesOf = (schema: string): string => `
CREATE TABLE ${schema}.archive (
  is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),
  keeper text NOT NULL DEFAULT '',
  kept_at bigint NOT NULL DEFAULT 0,
  kept_in text NOT NULL DEFAULT ''
);
INSERT INTO ${schema}.archive DEFAULT VALUES;

CREATE TABLE ${schema}.archived (
  id uuid NOT NULL,
  cents bigint NOT NULL,
  accepted_at bigint NOT NULL,
  requested_at bigint NOT NULL,
  attempts smallint NOT NULL,
  processor smallint NOT NULL
);
CREATE INDEX archived_by_id ON ${schema}.archived USING hash (id);

CREATE TABLE ${schema}.archive_files (
  name text PRIMARY KEY,
  day text NOT NULL,
  part int NOT NULL,
  bytes bigint NOT NULL,
  summed bigint NOT NULL DEFAULT 0,
  UNIQUE (day, part)
);

-- What is archived leaves it at one end: the index by seq is not to begin with too many that are gone.
ALTER TABLE ${schema}.settled SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000);
`;

export const archiveFunctionsOf = (schema: string): string => `
-- Returns a row where another one keeps the archive, and was at work just now.
CREATE FUNCTION ${schema}.keep_archive(p_keeper text, p_where text)
RETURNS TABLE (place text, ago_ms float8) LANGUAGE plpgsql AS $$
DECLARE
  now_ms bigint := extract(epoch FROM clock_timestamp()) * 1000;
  k record;
BEGIN
  SELECT a.* INTO k FROM ${schema}.archive a FOR NO KEY UPDATE;
  IF k.keeper NOT IN ('', p_keeper) AND now_ms - k.kept_at < ${KEEPS_MS} THEN
    RETURN QUERY SELECT k.kept_in, (now_ms - k.kept_at)::float8;
  ELSE
    UPDATE ${schema}.archive SET keeper = p_keeper, kept_at = now_ms, kept_in = p_where;
  END IF;
END $$;

CREATE FUNCTION ${schema}.archive_due(p_after bigint, p_before bigint, p_limit int)
RETURNS TABLE (generation bigint, id uuid, seq bigint, cents bigint, accepted_at bigint, requested_at bigint,
  settled_at bigint, attempts int, processor smallint, is_due boolean, failed json, acts json)
LANGUAGE plpgsql STABLE ${PLANS} AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT (SELECT d.generation FROM ${schema}.deployment d), s.id, s.seq, s.cents, s.accepted_at, s.requested_at,
      s.settled_at, s.attempts, s.processor, s.is_due,
      CASE WHEN s.is_due THEN (
        SELECT json_agg(json_build_object('n', a.number, 'ended_at', a.ended_at, 'processor', a.processor,
            'requested_at', a.requested_at, 'outcome', a.outcome, 'duration_ms', a.duration_ms)
            ORDER BY a.number, a.ended_at)
          FROM ${schema}.attempts a WHERE a.id = s.id) END,
      CASE WHEN s.is_due THEN (
        SELECT json_agg(json_build_object('number', c.number, 'at', c.at, 'kind', c.kind, 'who', c.who,
            'text', c.text) ORDER BY c.number)
          FROM ${schema}.acts c WHERE c.id = s.id) END
    FROM (
      SELECT t.*, t.state = 3 AND t.requested_at < p_before AND t.settled_at < p_before AS is_due
        FROM ${schema}.settled t WHERE t.seq > p_after ORDER BY t.seq LIMIT p_limit
    ) s ORDER BY s.seq;
END $$;

-- p_acts: those that stand in the files, so that none goes that was done meanwhile.
CREATE FUNCTION ${schema}.archive_page(
  p_keeper text, p_generation bigint, p_ids uuid[], p_acts bigint[], p_exact_from bigint,
  p_days text[], p_parts int[], p_names text[], p_before bigint[], p_bytes bigint[]
) RETURNS boolean LANGUAGE plpgsql ${PLANS} AS $$
DECLARE
  d record;
  found_count int;
  empty record;
BEGIN
  SELECT * INTO d FROM ${schema}.deployment FOR NO KEY UPDATE;
  IF d.generation <> p_generation THEN RETURN false; END IF;
  UPDATE ${schema}.archive SET kept_at = extract(epoch FROM clock_timestamp()) * 1000 WHERE keeper = p_keeper;
  IF NOT FOUND THEN RETURN false; END IF;
  PERFORM 1 FROM unnest(p_names, p_before) AS f(name, before)
    WHERE f.before <> coalesce((SELECT a.bytes FROM ${schema}.archive_files a WHERE a.name = f.name), 0);
  IF FOUND THEN RETURN false; END IF;
  SELECT count(*) INTO found_count FROM ${schema}.settled s WHERE s.id = ANY (p_ids) AND s.state = 3;
  IF found_count <> cardinality(p_ids) THEN RETURN false; END IF;

  WITH gone AS (
    DELETE FROM ${schema}.settled s USING unnest(p_ids) AS p(id) WHERE s.id = p.id RETURNING s.*
  ), kept AS (
    INSERT INTO ${schema}.archived (id, cents, accepted_at, requested_at, attempts, processor)
      SELECT g.id, g.cents, g.accepted_at, g.requested_at, least(g.attempts, 32767), g.processor FROM gone g
  ), moved AS (
    SELECT g.owner, g.processor, g.cents, g.requested_at AS from_ms,
        CASE WHEN g.requested_at < p_exact_from THEN f.day ELSE greatest(f.day, p_exact_from) END AS to_ms
      FROM gone g CROSS JOIN LATERAL (SELECT g.requested_at - g.requested_at % ${DAY_LENGTH_MS} AS day) f
  ), change AS (
    SELECT l.level, m.from_ms >> (6 * l.level) AS bucket, m.owner, m.processor, -1 AS sign, m.cents
      FROM moved m CROSS JOIN generate_series(1, 6) AS l(level)
    UNION ALL
    SELECT l.level, m.to_ms >> (6 * l.level), m.owner, m.processor, 1, m.cents
      FROM moved m CROSS JOIN generate_series(0, 6) AS l(level)
  ), total AS (
    -- In the order of every other one who adds to several, so that neither waits for the other in a circle.
    INSERT INTO ${schema}.totals AS t (level, owner, bucket, processor, count, high, low)
      SELECT c.level, c.owner, c.bucket, c.processor, sum(c.sign), sum(c.sign * (c.cents / 1000000)),
          sum(c.sign * (c.cents % 1000000))
        FROM change c GROUP BY c.level, c.bucket, c.owner, c.processor
        HAVING sum(c.sign) <> 0 OR sum(c.sign * (c.cents / 1000000)) <> 0 OR sum(c.sign * (c.cents % 1000000)) <> 0
        ORDER BY c.level, c.bucket, c.owner, c.processor
      ON CONFLICT (level, bucket, owner, processor) DO UPDATE
        SET count = t.count + excluded.count, high = t.high + excluded.high, low = t.low + excluded.low
      RETURNING t.level, t.bucket, t.owner, t.processor, t.count, t.high, t.low
  )
  SELECT array_agg(t.level) AS levels, array_agg(t.bucket) AS buckets, array_agg(t.owner) AS owners,
      array_agg(t.processor) AS processors
    INTO empty FROM total t WHERE t.count = 0 AND t.high = 0 AND t.low = 0;
  DELETE FROM ${schema}.totals t USING unnest(empty.levels, empty.buckets, empty.owners, empty.processors)
      AS e(level, bucket, owner, processor)
    WHERE t.level = e.level AND t.bucket = e.bucket AND t.owner = e.owner AND t.processor = e.processor;
  DELETE FROM ${schema}.attempts a WHERE a.id = ANY (p_ids);
  DELETE FROM ${schema}.acts c WHERE c.number = ANY (p_acts);
  INSERT INTO ${schema}.archive_files (name, day, part, bytes)
    SELECT f.name, f.day, f.part, f.bytes FROM unnest(p_names, p_days, p_parts, p_bytes) AS f(name, day, part, bytes)
    ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes;
  RETURN true;
END $$;

-- Ids requested before are forgotten, in some pages of their table; the first page is 0, and ends a round.
CREATE FUNCTION ${schema}.forget_ids(p_before bigint, p_from bigint) RETURNS json LANGUAGE plpgsql ${PLANS} AS $$
DECLARE
  pages bigint := pg_relation_size('${schema}.archived') / current_setting('block_size')::int;
  till bigint := p_from + ${SWEPT_PAGES};
  first_place tid := format('(%s,0)', p_from)::tid;
  last_place tid := format('(%s,0)', till)::tid;
  forgotten int;
BEGIN
  PERFORM 1 FROM ${schema}.deployment FOR NO KEY UPDATE;
  WITH gone AS (
    DELETE FROM ${schema}.archived a
      WHERE a.ctid >= first_place AND a.ctid < last_place AND a.requested_at < p_before RETURNING a.id
  ), silent AS (
    -- Of one that was sent to its processor again since.
    DELETE FROM ${schema}.acts c WHERE c.id = ANY (ARRAY(SELECT g.id FROM gone g))
  )
  SELECT count(*) INTO forgotten FROM gone;
  RETURN json_build_object('forgotten', forgotten, 'next', CASE WHEN till >= pages THEN 0 ELSE till END);
END $$;

-- The length of a file, or the last part of a day; 0 of what is not known.
CREATE FUNCTION ${schema}.archive_files_of(p_names text[])
RETURNS TABLE (size bigint) LANGUAGE plpgsql STABLE ${PLANS} AS $$
BEGIN
  RETURN QUERY SELECT coalesce(
      (SELECT f.bytes FROM ${schema}.archive_files f WHERE f.name = n.name),
      (SELECT f.part::bigint FROM ${schema}.archive_files f WHERE f.day = n.name ORDER BY f.part DESC LIMIT 1), 0)
    FROM unnest(p_names) WITH ORDINALITY AS n(name, place) ORDER BY n.place;
END $$;

CREATE FUNCTION ${schema}.grown_files() RETURNS TABLE (name text, bytes bigint) LANGUAGE sql STABLE AS $$
  SELECT f.name, f.bytes FROM ${schema}.archive_files f WHERE f.summed <> f.bytes
$$;

CREATE FUNCTION ${schema}.files_summed(p_names text[], p_bytes bigint[]) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE ${schema}.archive_files f SET summed = g.bytes FROM unnest(p_names, p_bytes) AS g(name, bytes)
    WHERE f.name = g.name AND f.bytes = g.bytes;
  RETURN true;
END $$;
`;
