/**
 * What instances do beside writing payments: one function a call of the port.
 *
 * Locks are taken in one order: the row of `deployment`, rows of `instances` by name, rows of `beats`,
 * payments. A function that changes what others have to learn of soon ends with a NOTIFY, which goes out with
 * the commit.
 *
 * Doubt. What an instance was acknowledged and is gone only it can tell, from the `step` that it remembers:
 * it is compared on each new connection, by each batch, and when it joins. A term that this begins is
 * doubtful: anything may be missing. It is not where a standby was promoted that every commit had waited for:
 * then no instance that lives lacks anything, and what is not acknowledged was not sent.
 */
import { CALM_MS } from '../../domain/settlement.ts';
import { ASKS_FIRST_MS } from '../server-options.ts';
import { PLANS } from './write-function.ts';

const changed = (schema: string): string => `PERFORM pg_notify('${schema}', '');`;

/** Whether the caller is still what it joined as; an answer of NULL is the fault `fenced`. */
const assertOurs = (schema: string): string => `
  PERFORM 1 FROM ${schema}.instances i WHERE i.name = p_name AND i.epoch = p_epoch;
  IF NOT FOUND THEN RETURN NULL; END IF;`;

const lockDeployment = (schema: string): string =>
  `SELECT * INTO d FROM ${schema}.deployment FOR NO KEY UPDATE;`;

/** Of what is acknowledged. Before anything is changed, or with the row locked and the epoch compared. */
export const raiseStep = (schema: string): string =>
  `UPDATE ${schema}.instances SET step = step + 1 WHERE name = p_name AND epoch = p_epoch;
  IF NOT FOUND THEN RETURN NULL; END IF;`;

const lockPair = (schema: string): string => `
  PERFORM 1 FROM ${schema}.instances i WHERE i.name IN (p_name, p_other) ORDER BY i.name FOR NO KEY UPDATE;`;

export const memberFunctionsOf = (schema: string): string => `
CREATE FUNCTION ${schema}.now_ms() RETURNS bigint LANGUAGE sql AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- Ends every epoch: an instance that lost nothing, too, may be sent again what another one lost.
-- p_is_doubtful: what is unsettled may have been sent anywhere since it was last written.
CREATE FUNCTION ${schema}.begin_term(p_after bigint, p_is_doubtful boolean, p_started text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE pinned bigint;
BEGIN
  -- Behind every batch that is at work.
  PERFORM 1 FROM ${schema}.instances i ORDER BY i.name FOR NO KEY UPDATE;
  UPDATE ${schema}.deployment SET term = greatest(term, p_after) + 1;
  UPDATE ${schema}.instances SET epoch = epoch + 1,
    started = CASE WHEN p_is_doubtful THEN p_started ELSE started END;
  UPDATE ${schema}.queue SET state = CASE WHEN state < 0 THEN -3 ELSE 2 END, processor = greatest(processor, 0),
      requested_at = CASE WHEN requested_at = 0 THEN accepted_at ELSE requested_at END,
      attempts = greatest(attempts, 1)
    WHERE state IN (0, -1);
  GET DIAGNOSTICS pinned = ROW_COUNT;
  IF p_is_doubtful THEN
    UPDATE ${schema}.deployment SET doubtful_term = term, doubtful_at = ${schema}.now_ms();
    UPDATE ${schema}.queue SET state = ~state WHERE state >= 0;
  END IF;
  RETURN pinned;
END $$;

-- p_lost_term: the last term that the caller saw before it found that writes are lost, -1 if it cannot say
-- which, NULL if it found nothing of that kind. p_had_all: a synchronous standby had what is lost.
-- p_last_epoch, p_last_step, p_last_term: what its process knows that it had. p_wall: its wall clock.
CREATE FUNCTION ${schema}.join_as(
  p_name text, p_is_durable boolean, p_lost_term bigint, p_had_all boolean, p_last_epoch bigint, p_last_step bigint,
  p_last_term bigint, p_system text, p_timeline bigint, p_started text, p_wall bigint
) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  d record;
  joined record;
  pinned bigint := 0;
  v_now bigint := ${schema}.now_ms();
  asks_ms bigint;
  asks bigint := 0;
  lost_term bigint;
  is_behind boolean;
  has_gone_on boolean;
  is_cut boolean;
  is_doubtful boolean;
BEGIN
  ${lockDeployment(schema)}
  is_behind := p_last_step > coalesce((SELECT i.step FROM ${schema}.instances i WHERE i.name = p_name), 0);
  lost_term := coalesce(p_lost_term, CASE WHEN is_behind THEN p_last_term END);
  has_gone_on := d.system <> '' AND (d.system <> p_system OR d.timeline <> p_timeline);
  is_cut := d.started <> p_started
    AND EXISTS (SELECT FROM ${schema}.instances i WHERE i.is_alive AND NOT i.is_durable);
  is_doubtful := is_behind OR is_cut OR NOT p_had_all;
  IF has_gone_on OR is_cut OR lost_term = -1
    OR lost_term >= (CASE WHEN is_doubtful THEN d.doubtful_term ELSE d.term END)
  THEN
    pinned := ${schema}.begin_term(coalesce(lost_term, 0), is_doubtful, p_started);
    SELECT * INTO d FROM ${schema}.deployment;
  END IF;
  UPDATE ${schema}.deployment SET system = p_system, timeline = p_timeline, started = p_started,
    checker = CASE WHEN checker = p_name THEN '' ELSE checker END;
  -- By the caller's clock: those of two hosts may be an hour apart.
  asks_ms := d.doubtful_at + ${ASKS_FIRST_MS} - v_now;
  IF asks_ms > 0 THEN asks := p_wall + asks_ms; END IF;
  INSERT INTO ${schema}.instances AS i (name, epoch, is_alive, is_durable, joined_generation, generation, step,
      asks_until, started)
    VALUES (p_name, p_last_epoch + 1, true, p_is_durable, d.generation, d.generation, p_last_step + 1, asks, p_started)
    ON CONFLICT (name) DO UPDATE SET epoch = greatest(i.epoch, p_last_epoch) + 1, is_alive = true,
      is_durable = p_is_durable, joined_generation = d.generation, batch = 0, results = NULL,
      step = greatest(i.step, p_last_step) + 1, asks_until = asks, started = p_started
    RETURNING i.* INTO joined;
  INSERT INTO ${schema}.beats AS b (name, beat) VALUES (p_name, 1)
    ON CONFLICT (name) DO UPDATE SET beat = b.beat + 1, figures = '';
  ${changed(schema)}
  RETURN json_build_object('epoch', joined.epoch, 'generation', d.generation, 'term', d.term, 'pinned', pinned,
    'asksFirstUntilMs', asks, 'isCalm', v_now >= d.doubtful_at + ${CALM_MS}, 'step', joined.step);
END $$;

CREATE FUNCTION ${schema}.look() RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT json_build_object('generation', d.generation, 'term', d.term, 'checker', d.checker,
    'isSynchronous', current_setting('synchronous_standby_names') <> '',
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

CREATE FUNCTION ${schema}.adopt(p_name text, p_epoch bigint, p_other text, p_started text)
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
  IF NOT FOUND OR theirs.unsettled = 0 THEN RETURN 0; END IF;
  -- What it was acknowledged last only its own process knew.
  IF NOT theirs.is_durable AND theirs.started <> p_started THEN RETURN -1; END IF;
  -- Each by an index of its own.
  UPDATE ${schema}.queue SET owner = ours.number WHERE owner = theirs.number AND held = 0;
  GET DIAGNOSTICS adopted = ROW_COUNT;
  UPDATE ${schema}.queue SET owner = ours.number WHERE owner = theirs.number AND held <> 0;
  GET DIAGNOSTICS held_too = ROW_COUNT;
  adopted := adopted + held_too;
  UPDATE ${schema}.instances SET unsettled = unsettled - adopted WHERE name = p_other;
  UPDATE ${schema}.instances SET unsettled = unsettled + adopted, step = step + 1 WHERE name = p_name;
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
  TRUNCATE ${schema}.queue, ${schema}.settled, ${schema}.attempts, ${schema}.totals, ${schema}.acts,
    ${schema}.archived;
  UPDATE ${schema}.deployment SET generation = generation + 1;
  UPDATE ${schema}.instances SET generation = d.generation + 1, unsettled = 0,
    step = step + CASE WHEN name = p_name THEN 1 ELSE 0 END,
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
