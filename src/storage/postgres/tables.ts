/**
 * The tables of the PostgreSQL engine.
 *
 * A payment is a row of `queue` until it is settled, and one of `settled` from then on: the queue stays small
 * and hot, and what is settled is never changed again, so vacuum has next to nothing to do there.
 *
 *     instances   one row an instance. Its lock is the instance's turn to write: every batch begins with it,
 *                 and whoever declares the instance dead, or purges, takes it as well.
 *     beats       what an instance publishes twice a second, apart from the row that every batch changes
 *     totals      sums of settlements (`../rollups.ts`, level 1 and up), in rows of each instance's own, so
 *                 that two instances never wait for each other's
 *
 * What is archived has tables of its own (`archive-functions.ts`).
 */
import { archiveTablesOf } from './archive-functions.ts';
import { SEQS_A_BATCH } from './write-function.ts';

/** Rises with each change of the tables or of the functions; `migrate` says how the next one is reached. */
export const SCHEMA_VERSION = 4;

export const tablesOf = (schema: string): string => `
CREATE TABLE ${schema}.deployment (
  is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),
  version int NOT NULL,
  store_id uuid NOT NULL DEFAULT gen_random_uuid(),
  generation bigint NOT NULL DEFAULT 1,
  term bigint NOT NULL DEFAULT 1,
  -- The last term that began with doubt (0: none), and when, by the server's clock in ms.
  doubtful_term bigint NOT NULL DEFAULT 0,
  doubtful_at bigint NOT NULL DEFAULT 0,
  -- The history that the last term was begun in, or that an instance has found to go on from it.
  system text NOT NULL DEFAULT '',
  timeline bigint NOT NULL DEFAULT 0,
  started text NOT NULL DEFAULT '',
  checker text NOT NULL DEFAULT '',
  -- The processors' addresses.
  urls text[] NOT NULL DEFAULT '{}',
  failing boolean[] NOT NULL DEFAULT '{f,f}',
  min_response_ms float8[] NOT NULL DEFAULT '{0,0}',
  health_version bigint[] NOT NULL DEFAULT '{0,0}'
);
INSERT INTO ${schema}.deployment (version) VALUES (${SCHEMA_VERSION});

CREATE TABLE ${schema}.instances (
  name text PRIMARY KEY,
  number int GENERATED ALWAYS AS IDENTITY UNIQUE,
  epoch bigint NOT NULL DEFAULT 0,
  is_alive boolean NOT NULL DEFAULT false,
  -- Whether its commits wait for the disk, so that none is lost when the server starts anew.
  is_durable boolean NOT NULL DEFAULT false,
  -- The generation that it joined in, and the present one: the same for all, so that a batch finds it here.
  joined_generation bigint NOT NULL,
  generation bigint NOT NULL,
  unsettled bigint NOT NULL DEFAULT 0,
  -- The last batch, the number of its first row, and its results where one was not as expected, in
  -- case the answer to its COMMIT was lost. 0: a payment that was new.
  batch bigint NOT NULL DEFAULT 0,
  base bigint NOT NULL DEFAULT 0,
  results smallint[],
  -- Settlements that are not in the totals yet.
  fresh_requested bigint[] NOT NULL DEFAULT '{}',
  fresh_processor smallint[] NOT NULL DEFAULT '{}',
  fresh_cents bigint[] NOT NULL DEFAULT '{}',
  -- Rises with what the instance is acknowledged, in all its epochs: an instance that knows of more has lost that.
  step bigint NOT NULL DEFAULT 0,
  -- What it accepts before is uncertain (its own wall clock).
  asks_until bigint NOT NULL DEFAULT 0,
  -- The run of the server that it joined in.
  started text NOT NULL DEFAULT ''
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE ${schema}.beats (
  name text PRIMARY KEY,
  beat bigint NOT NULL DEFAULT 0,
  figures text NOT NULL DEFAULT ''
) WITH (fillfactor = 20);

CREATE SEQUENCE ${schema}.seq INCREMENT BY ${SEQS_A_BATCH};

CREATE TABLE ${schema}.queue (
  id uuid PRIMARY KEY,
  seq bigint NOT NULL,
  cents bigint NOT NULL,
  accepted_at bigint NOT NULL,
  requested_at bigint NOT NULL,
  origin bigint NOT NULL,
  owner int NOT NULL,
  attempts int NOT NULL,
  tries int NOT NULL,
  -- Of an uncertain payment its complement.
  state smallint NOT NULL,
  processor smallint NOT NULL,
  held smallint NOT NULL DEFAULT 0,
  retry_at float8 NOT NULL DEFAULT 0
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 20000);
-- Not of the state: an attempt changes a row in place (HOT).
CREATE INDEX queue_by_owner ON ${schema}.queue (owner, seq) WHERE held = 0;
CREATE INDEX queue_held ON ${schema}.queue (owner, retry_at, seq) WHERE held <> 0;

-- And closed: whatever is over.
CREATE TABLE ${schema}.settled (
  id uuid PRIMARY KEY,
  seq bigint NOT NULL,
  cents bigint NOT NULL,
  accepted_at bigint NOT NULL,
  requested_at bigint NOT NULL,
  settled_at bigint NOT NULL,
  origin bigint NOT NULL,
  owner int NOT NULL,
  attempts int NOT NULL,
  tries int NOT NULL,
  processor smallint NOT NULL,
  state smallint NOT NULL DEFAULT 3,
  reason text NOT NULL DEFAULT ''
);
CREATE INDEX settled_by_seq ON ${schema}.settled (seq);
CREATE INDEX settled_by_request ON ${schema}.settled (requested_at);

-- Attempts that did not settle their payment.
CREATE TABLE ${schema}.attempts (
  id uuid NOT NULL,
  number int NOT NULL,
  requested_at bigint NOT NULL,
  ended_at bigint NOT NULL,
  duration_ms float8 NOT NULL,
  processor smallint NOT NULL,
  outcome smallint NOT NULL
);
CREATE INDEX attempts_by_id ON ${schema}.attempts (id);

-- What operators did.
CREATE TABLE ${schema}.acts (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL,
  kind text NOT NULL,
  at bigint NOT NULL,
  who text NOT NULL,
  text text NOT NULL
);
CREATE INDEX acts_by_id ON ${schema}.acts (id);

CREATE TABLE ${schema}.totals (
  level smallint NOT NULL,
  owner int NOT NULL,
  bucket bigint NOT NULL,
  processor smallint NOT NULL,
  count bigint NOT NULL,
  high bigint NOT NULL,
  low bigint NOT NULL,
  PRIMARY KEY (level, bucket, owner, processor)
) WITH (fillfactor = 50);
${archiveTablesOf(schema)}`;
