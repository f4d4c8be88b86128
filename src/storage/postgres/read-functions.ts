/** Questions: each is one statement, so it sees one moment, in which a payment is in one table only. */
import { heldPauseMaxMs } from '../../domain/settlement.ts';
import { raiseStep } from './member-functions.ts';
import { PLANS } from './write-function.ts';

const queued = `q.id, q.seq, q.cents, q.accepted_at, q.origin, q.state, q.processor, q.requested_at, q.attempts,
  q.tries, 0::bigint AS settled_at, q.owner, q.held, q.retry_at, ''::text AS reason`;
const booked = `s.id, s.seq, s.cents, s.accepted_at, s.origin, s.state, s.processor, s.requested_at,
  s.attempts, s.tries, s.settled_at, s.owner, 0::smallint AS held, 0::float8 AS retry_at, s.reason`;
/** As much as is known of it. */
const archived = `a.id, 0::bigint, a.cents, a.accepted_at, 0::bigint, 3::smallint, a.processor, a.requested_at,
  a.attempts::int, 0, a.requested_at, 0, 0::smallint, 0::float8, ''::text`;

const payment = `id uuid, seq bigint, cents bigint, accepted_at bigint, origin bigint, state smallint,
  processor smallint, requested_at bigint, attempts int, tries int, settled_at bigint, owner int, held smallint,
  retry_at float8, reason text`;

export const readFunctionsOf = (schema: string): string => `
CREATE FUNCTION ${schema}.find_payment(p_id uuid)
RETURNS TABLE (${payment}) LANGUAGE plpgsql STABLE ${PLANS} AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT ${queued} FROM ${schema}.queue q WHERE q.id = p_id
    UNION ALL SELECT ${booked} FROM ${schema}.settled s WHERE s.id = p_id
    UNION ALL SELECT ${archived} FROM ${schema}.archived a WHERE a.id = p_id;
END $$;

CREATE FUNCTION ${schema}.take(p_name text, p_after bigint, p_limit int)
RETURNS TABLE (${payment}) LANGUAGE plpgsql STABLE ${PLANS} AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT ${queued} FROM ${schema}.queue q
    WHERE q.owner = (SELECT i.number FROM ${schema}.instances i WHERE i.name = p_name) AND q.seq > p_after
      AND q.held = 0
    ORDER BY q.seq LIMIT p_limit;
END $$;

CREATE FUNCTION ${schema}.take_held(p_name text, p_due float8, p_limit int)
RETURNS TABLE (${payment}) LANGUAGE plpgsql STABLE ${PLANS} AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT ${queued} FROM ${schema}.queue q
    WHERE q.owner = (SELECT i.number FROM ${schema}.instances i WHERE i.name = p_name) AND q.held <> 0
      AND (q.retry_at <= p_due OR (q.retry_at > p_due + ${heldPauseMaxMs} AND q.retry_at < 'Infinity'))
    ORDER BY q.retry_at, q.seq LIMIT p_limit;
END $$;

CREATE FUNCTION ${schema}.urls() RETURNS TABLE (urls text[]) LANGUAGE sql STABLE AS $$
  SELECT d.urls FROM ${schema}.deployment d
$$;

CREATE FUNCTION ${schema}.remember_urls(p_name text, p_epoch bigint, p_urls text[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM ${schema}.deployment FOR NO KEY UPDATE;
  ${raiseStep(schema)}
  UPDATE ${schema}.deployment SET urls = p_urls;
  RETURN true;
END $$;

CREATE FUNCTION ${schema}.pinned_to(p_processor int, p_limit int)
RETURNS TABLE (${payment}) LANGUAGE sql STABLE AS $$
  SELECT ${queued} FROM ${schema}.queue q
    WHERE q.state IN (1, 2, -2, -3) AND q.processor = p_processor AND q.held <> 3 LIMIT p_limit
$$;

CREATE FUNCTION ${schema}.held_counts() RETURNS TABLE (held smallint, count bigint) LANGUAGE sql STABLE AS $$
  SELECT q.held, count(*) FROM ${schema}.queue q WHERE q.held <> 0 GROUP BY q.held
$$;

CREATE FUNCTION ${schema}.held(p_limit int)
RETURNS TABLE (${payment}, owner_name text) LANGUAGE sql STABLE AS $$
  SELECT ${queued}, coalesce(i.name, '') FROM ${schema}.queue q
    LEFT JOIN ${schema}.instances i ON i.number = q.owner
    WHERE q.held <> 0 ORDER BY q.seq LIMIT p_limit
$$;

-- Ranges of buckets by level (../rollups.ts). Level 0, milliseconds, is read from the payments themselves; in
-- the totals it has those that are archived.
CREATE FUNCTION ${schema}.summary(p_levels int[], p_from bigint[], p_to bigint[])
RETURNS TABLE (processor smallint, count numeric, high numeric, low numeric)
LANGUAGE plpgsql STABLE ${PLANS} AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT a.processor, sum(a.count), sum(a.high), sum(a.low) FROM (
      SELECT t.processor, t.count, t.high, t.low
        FROM unnest(p_levels, p_from, p_to) AS r(level, first, last)
        JOIN ${schema}.totals t ON t.level = r.level AND t.bucket BETWEEN r.first AND r.last
      UNION ALL
      -- What is not in the totals yet.
      SELECT f.processor, 1, f.cents / 1000000, f.cents % 1000000
        FROM ${schema}.instances i
        CROSS JOIN LATERAL unnest(i.fresh_requested, i.fresh_processor, i.fresh_cents)
          AS f(requested, processor, cents)
        JOIN unnest(p_levels, p_from, p_to) AS r(level, first, last)
          ON r.level > 0 AND f.requested >> (6 * r.level) BETWEEN r.first AND r.last
      UNION ALL
      SELECT s.processor, 1, s.cents / 1000000, s.cents % 1000000
        FROM unnest(p_levels, p_from, p_to) AS r(level, first, last)
        JOIN ${schema}.settled s ON s.requested_at BETWEEN r.first AND r.last
        WHERE r.level = 0 AND s.state = 3
    ) a GROUP BY a.processor;
END $$;

CREATE FUNCTION ${schema}.latest(p_limit int)
RETURNS TABLE (${payment}, owner_name text) LANGUAGE plpgsql STABLE ${PLANS} AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    WITH candidates AS (
      (SELECT ${booked} FROM ${schema}.settled s ORDER BY s.seq DESC LIMIT p_limit)
      UNION ALL
      SELECT k.* FROM ${schema}.instances i CROSS JOIN LATERAL (
        SELECT ${queued} FROM ${schema}.queue q WHERE q.owner = i.number AND q.held = 0
          ORDER BY q.seq DESC LIMIT p_limit) k
    )
    SELECT c.*, coalesce((SELECT i.name FROM ${schema}.instances i WHERE i.number = c.owner), '')
      FROM candidates c ORDER BY c.seq DESC LIMIT p_limit;
END $$;

CREATE FUNCTION ${schema}.inspect(p_id uuid) RETURNS TABLE (${payment}, owner_name text) LANGUAGE sql STABLE AS $$
  SELECT p.*, coalesce(i.name, '') FROM ${schema}.find_payment(p_id) p
    LEFT JOIN ${schema}.instances i ON i.number = p.owner
$$;

-- In order; of many, the last ones.
CREATE FUNCTION ${schema}.attempts_of(p_id uuid) RETURNS SETOF ${schema}.attempts LANGUAGE sql STABLE AS $$
  SELECT * FROM (SELECT a.* FROM ${schema}.attempts a WHERE a.id = p_id ORDER BY a.ended_at DESC, a.number DESC
    LIMIT 100) l ORDER BY l.ended_at, l.number
$$;

CREATE FUNCTION ${schema}.acts_of(p_id uuid) RETURNS SETOF ${schema}.acts LANGUAGE sql STABLE AS $$
  SELECT a.* FROM ${schema}.acts a WHERE a.id = p_id ORDER BY a.number
$$;

CREATE FUNCTION ${schema}.settled_after(p_after bigint, p_limit int)
RETURNS TABLE (${payment}, owner_name text) LANGUAGE plpgsql STABLE ${PLANS} AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT ${booked}, coalesce((SELECT i.name FROM ${schema}.instances i WHERE i.number = s.owner), '')
    FROM ${schema}.settled s WHERE s.seq > p_after AND s.state = 3 ORDER BY s.seq LIMIT p_limit;
END $$;
`;
