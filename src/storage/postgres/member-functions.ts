/**
 * What instances do beside writing payments: one function a call of the port.
 *
 * Locks are taken in one order: the row of `deployment`, rows of `instances` by name, rows of `beats`,
 * payments. A function that changes what others have to learn of soon ends with a NOTIFY, which goes out with
 * the commit.
 */
import { PLANS } from './write-function.ts';

const changed = (schema: string): string => `PERFORM pg_notify('${schema}', '');`;

/** Whether the caller is still what it joined as; an answer of NULL is the fault `fenced`. */
const assertOurs = (schema: string): string => `
  PERFORM 1 FROM ${schema}.instances i WHERE i.name = p_name AND i.epoch = p_epoch;
  IF NOT FOUND THEN RETURN NULL; END IF;`;

const lockDeployment = (schema: string): string =>
  `SELECT * INTO d FROM ${schema}.deployment FOR NO KEY UPDATE;`;

const lockPair = (schema: string): string => `
  PERFORM 1 FROM ${schema}.instances i WHERE i.name IN (p_name, p_other) ORDER BY i.name FOR NO KEY UPDATE;`;

export const memberFunctionsOf = (schema: string): string => `
CREATE FUNCTION ${schema}.begin_term() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE pinned bigint;
BEGIN
  -- Behind every batch that is at work.
  PERFORM 1 FROM ${schema}.instances i ORDER BY i.name FOR NO KEY UPDATE;
  UPDATE ${schema}.deployment SET term = term + 1;
  UPDATE ${schema}.queue SET state = 2, processor = greatest(processor, 0),
      requested_at = CASE WHEN requested_at = 0 THEN accepted_at ELSE requested_at END,
      attempts = greatest(attempts, 1)
    WHERE state = 0;
  GET DIAGNOSTICS pinned = ROW_COUNT;
  RETURN pinned;
END $$;

-- p_lost_term: the last term that the caller saw before it found that writes are lost, -1 if it cannot say
-- which, NULL if it found nothing of that kind.
CREATE FUNCTION ${schema}.join_as(
  p_name text, p_is_durable boolean, p_lost_term bigint, p_system text, p_timeline bigint, p_started text
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  d record;
  joined record;
  pinned bigint := 0;
  is_lost boolean;
BEGIN
  ${lockDeployment(schema)}
  is_lost := coalesce(p_lost_term = -1 OR p_lost_term >= d.term, false)
    OR (d.system <> '' AND (d.system <> p_system OR d.timeline <> p_timeline))
    OR (d.started <> p_started
      AND EXISTS (SELECT FROM ${schema}.instances i WHERE i.is_alive AND NOT i.is_durable));
  IF is_lost THEN
    pinned := ${schema}.begin_term();
    d.term := d.term + 1;
  END IF;
  UPDATE ${schema}.deployment SET system = p_system, timeline = p_timeline, started = p_started,
    checker = CASE WHEN checker = p_name THEN '' ELSE checker END;
  INSERT INTO ${schema}.instances AS i (name, epoch, is_alive, is_durable, joined_generation, generation)
    VALUES (p_name, 1, true, p_is_durable, d.generation, d.generation)
    ON CONFLICT (name) DO UPDATE SET epoch = i.epoch + 1, is_alive = true, is_durable = p_is_durable,
      joined_generation = d.generation, batch = 0, results = NULL
    RETURNING i.* INTO joined;
  INSERT INTO ${schema}.beats AS b (name, beat) VALUES (p_name, 1)
    ON CONFLICT (name) DO UPDATE SET beat = b.beat + 1, figures = '';
  ${changed(schema)}
  RETURN json_build_object('epoch', joined.epoch, 'generation', d.generation, 'term', d.term,
    'pinned', pinned, 'asksFirstUntilMs', 0, 'isCalm', true);
END $$;

CREATE FUNCTION ${schema}.look() RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT json_build_object('generation', d.generation, 'term', d.term, 'checker', d.checker,
    'health', json_build_array(
      json_build_object('failing', d.failing[1], 'minResponseMs', d.min_response_ms[1],
        'version', d.health_version[1]),
      json_build_object('failing', d.failing[2], 'minResponseMs', d.min_response_ms[2],
        'version', d.health_version[2])),
    'instances', (SELECT coalesce(json_agg(json_build_object('name', i.name, 'epoch', i.epoch, 'beat', b.beat,
        'alive', i.is_alive, 'generation', i.joined_generation, 'unsettled', i.unsettled, 'figures', b.figures)
        ORDER BY i.name COLLATE "C"), '[]')
      FROM ${schema}.instances i JOIN ${schema}.beats b ON b.name = i.name))
  FROM ${schema}.deployment d);
END $$;

CREATE FUNCTION ${schema}.beat(p_name text, p_epoch bigint, p_figures text)
RETURNS json LANGUAGE plpgsql AS $$
BEGIN
  ${assertOurs(schema)}
  UPDATE ${schema}.beats SET beat = beat + 1, figures = p_figures WHERE name = p_name;
  ${changed(schema)}
  RETURN ${schema}.look();
END $$;

CREATE FUNCTION ${schema}.fence(
  p_name text, p_epoch bigint, p_other text, p_other_epoch bigint, p_other_beat bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE d record;
BEGIN
  ${lockDeployment(schema)}
  ${lockPair(schema)}
  ${assertOurs(schema)}
  PERFORM 1 FROM ${schema}.beats b WHERE b.name = p_other AND b.beat = p_other_beat FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE ${schema}.instances SET epoch = epoch + 1, is_alive = false
    WHERE name = p_other AND epoch = p_other_epoch AND is_alive;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE ${schema}.deployment SET checker = '' WHERE checker = p_other;
  ${changed(schema)}
  RETURN true;
END $$;

CREATE FUNCTION ${schema}.adopt(p_name text, p_epoch bigint, p_other text)
RETURNS float8 LANGUAGE plpgsql ${PLANS} AS $$
DECLARE
  ours record;
  theirs record;
  adopted bigint;
  held_too bigint;
BEGIN
  ${lockPair(schema)}
  SELECT i.* INTO ours FROM ${schema}.instances i WHERE i.name = p_name AND i.epoch = p_epoch;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT i.* INTO theirs FROM ${schema}.instances i WHERE i.name = p_other AND NOT i.is_alive;
  IF NOT FOUND THEN RETURN 0; END IF;
  -- Each by an index of its own.
  UPDATE ${schema}.queue SET owner = ours.number WHERE owner = theirs.number AND held = 0;
  GET DIAGNOSTICS adopted = ROW_COUNT;
  UPDATE ${schema}.queue SET owner = ours.number WHERE owner = theirs.number AND held <> 0;
  GET DIAGNOSTICS held_too = ROW_COUNT;
  adopted := adopted + held_too;
  UPDATE ${schema}.instances SET unsettled = unsettled - adopted WHERE name = p_other;
  UPDATE ${schema}.instances SET unsettled = unsettled + adopted WHERE name = p_name;
  ${changed(schema)}
  RETURN adopted;
END $$;

CREATE FUNCTION ${schema}.take_checker(p_name text, p_epoch bigint, p_holder text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE d record;
BEGIN
  ${lockDeployment(schema)}
  ${assertOurs(schema)}
  IF d.checker <> p_holder THEN RETURN false; END IF;
  UPDATE ${schema}.deployment SET checker = p_name;
  ${changed(schema)}
  RETURN true;
END $$;

CREATE FUNCTION ${schema}.report(
  p_name text, p_epoch bigint, p_processor int, p_failing boolean, p_min_response_ms float8
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE d record;
BEGIN
  ${lockDeployment(schema)}
  ${assertOurs(schema)}
  IF d.checker <> p_name THEN RETURN false; END IF;
  UPDATE ${schema}.deployment SET failing[p_processor + 1] = p_failing,
    min_response_ms[p_processor + 1] = p_min_response_ms,
    health_version[p_processor + 1] = health_version[p_processor + 1] + 1;
  ${changed(schema)}
  RETURN true;
END $$;

CREATE FUNCTION ${schema}.purge(p_name text, p_epoch bigint) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE d record;
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true);
  ${lockDeployment(schema)}
  PERFORM 1 FROM ${schema}.instances i ORDER BY i.name FOR NO KEY UPDATE;
  ${assertOurs(schema)}
  TRUNCATE ${schema}.queue, ${schema}.settled, ${schema}.attempts, ${schema}.totals, ${schema}.acts;
  UPDATE ${schema}.deployment SET generation = generation + 1;
  UPDATE ${schema}.instances SET generation = d.generation + 1, unsettled = 0,
    fresh_requested = '{}', fresh_processor = '{}', fresh_cents = '{}';
  ${changed(schema)}
  RETURN d.generation + 1;
END $$;

CREATE FUNCTION ${schema}.leave(p_name text, p_epoch bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE d record;
BEGIN
  ${lockDeployment(schema)}
  UPDATE ${schema}.instances SET is_alive = false WHERE name = p_name AND epoch = p_epoch;
  IF FOUND THEN UPDATE ${schema}.deployment SET checker = '' WHERE checker = p_name; END IF;
  ${changed(schema)}
  RETURN true;
END $$;
`;
