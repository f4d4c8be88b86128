/**
 * What an operator does to a payment, through any instance: under the lock of the payment's owner, as if that
 * one had done it, so that no batch of it comes in between.
 */
import { raiseStep } from './member-functions.ts';
import { PLANS } from './write-function.ts';

export const actFunctionOf = (schema: string): string => `
CREATE FUNCTION ${schema}.act(
  p_name text, p_epoch bigint, p_kind text, p_id uuid, p_processor int, p_requested bigint, p_at bigint,
  p_who text, p_text text
) RETURNS text LANGUAGE plpgsql ${PLANS} AS $$
#variable_conflict use_column
DECLARE
  q record;
  s record;
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true);
  PERFORM 1 FROM ${schema}.instances i
    WHERE i.name = p_name OR i.number = (SELECT t.owner FROM ${schema}.queue t WHERE t.id = p_id)
    ORDER BY i.name FOR NO KEY UPDATE;
  PERFORM 1 FROM ${schema}.instances i WHERE i.name = p_name AND i.epoch = p_epoch;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT t.* INTO q FROM ${schema}.queue t WHERE t.id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    SELECT t.state INTO s FROM (SELECT k.state FROM ${schema}.settled k WHERE k.id = p_id
      UNION ALL SELECT 3 FROM ${schema}.archived a WHERE a.id = p_id) t;
    IF NOT FOUND THEN RETURN 'no such payment'; END IF;
    IF s.state <> 3 THEN RETURN 'closed'; END IF;
    IF p_kind NOT IN ('resend', 'take-in') THEN RETURN 'settled'; END IF;
    INSERT INTO ${schema}.acts (id, kind, at, who, text) VALUES (p_id, p_kind, p_at, p_who, p_text);
    ${raiseStep(schema)}
    RETURN 'done';
  END IF;
  IF p_kind = 'resend' THEN RETURN 'not settled'; END IF;
  IF q.state IN (1, -2) AND p_kind IN ('settle', 'close') THEN RETURN 'on its way'; END IF;
  INSERT INTO ${schema}.acts (id, kind, at, who, text) VALUES (p_id, p_kind, p_at, p_who, p_text);
  ${raiseStep(schema)}
  IF p_kind = 'take-in' THEN RETURN 'done'; END IF;
  IF p_kind = 'retry' THEN
    UPDATE ${schema}.queue SET retry_at = 0 WHERE id = p_id;
    RETURN 'done';
  END IF;
  IF p_kind = 'hold' THEN
    UPDATE ${schema}.queue SET held = 3, retry_at = 'Infinity',
        state = CASE state WHEN 1 THEN 2 WHEN -2 THEN -3 ELSE state END
      WHERE id = p_id;
    RETURN 'done';
  END IF;
  DELETE FROM ${schema}.queue WHERE id = p_id;
  IF p_kind = 'settle' THEN
    INSERT INTO ${schema}.settled (id, seq, cents, accepted_at, requested_at, settled_at, origin, owner, attempts,
        tries, processor)
      VALUES (q.id, q.seq, q.cents, q.accepted_at, p_requested, p_at, q.origin, q.owner, q.attempts, q.tries,
        p_processor);
    INSERT INTO ${schema}.totals AS t (level, owner, bucket, processor, count, high, low)
      SELECT l.level, q.owner, p_requested >> (6 * l.level), p_processor, 1, q.cents / 1000000, q.cents % 1000000
        FROM generate_series(1, 6) AS l(level)
      ON CONFLICT (level, bucket, owner, processor) DO UPDATE
        SET count = t.count + excluded.count, high = t.high + excluded.high, low = t.low + excluded.low;
  ELSE
    INSERT INTO ${schema}.settled (id, seq, cents, accepted_at, requested_at, settled_at, origin, owner, attempts,
        tries, processor, state, reason)
      VALUES (q.id, q.seq, q.cents, q.accepted_at, q.requested_at, 0, q.origin, q.owner, q.attempts, q.tries,
        q.processor, 4, p_text);
  END IF;
  UPDATE ${schema}.instances SET unsettled = unsettled - 1 WHERE number = q.owner;
  PERFORM pg_notify('${schema}', '');
  RETURN 'done';
END $$;
`;
