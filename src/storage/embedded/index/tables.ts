/** The files of the embedded store, and the tables of its index. */
import { positionOf, SEGMENT_HEADER_BYTES } from '../shared-log/segments.ts';

export const indexFile = 'payments.db';
/** Below the store's directory: the segments. */
export const logFolder = 'log';
/** 'soqu': tells our files from other SQLite files. */
export const applicationId = 0x736f7175;
/**
 * Rises with every change of the tables, and each has a migration from the one before; 1 was the store
 * itself.
 */
export const schemaVersion = 4;

/** Where the log of a new store begins. */
export const FIRST_POSITION = positionOf(1, SEGMENT_HEADER_BYTES);

export const ATTEMPTS_TABLE = `
CREATE TABLE attempts (
  id BLOB NOT NULL,
  n INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  processor INTEGER NOT NULL,
  requested_at INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  PRIMARY KEY (id, n, ended_at)
) STRICT, WITHOUT ROWID;
`;

/**
 * `held`: a place in HOLD_REASONS; of a held payment `settled_at` is when it is tried again, -1: never. Acts
 * of operators by `kind`, a place in ACT_KINDS.
 */
export const HOLDS = `
CREATE INDEX unsettled ON payments (origin, seq) WHERE state < 3 AND held = 0;
CREATE INDEX held ON payments (held, settled_at) WHERE held > 0;
CREATE TABLE acts (
  id BLOB NOT NULL,
  n INTEGER NOT NULL,
  at INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  who TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (id, n)
) STRICT, WITHOUT ROWID;
`;

/**
 * Settled payments whose line is in a file, as little as tells that they are known: `accepted_before` is
 * milliseconds before `requested_at`. And those files: how long they are, and how much of each `SHA256SUMS`
 * speaks of.
 */
export const ARCHIVE_TABLES = `
CREATE TABLE archived (
  id BLOB NOT NULL PRIMARY KEY,
  cents INTEGER NOT NULL,
  processor INTEGER NOT NULL,
  requested_at INTEGER NOT NULL,
  accepted_before INTEGER NOT NULL,
  attempts INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE archive_files (
  day TEXT NOT NULL,
  part INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  lines INTEGER NOT NULL,
  summed INTEGER NOT NULL,
  PRIMARY KEY (day, part)
) STRICT, WITHOUT ROWID;
`;

export const LOG_TABLE = `
CREATE TABLE log (store BLOB NOT NULL, position INTEGER NOT NULL, state TEXT NOT NULL, tail BLOB NOT NULL) STRICT;
`;

export const SCHEMA = `
CREATE TABLE payments (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  cents INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL,
  origin INTEGER NOT NULL,
  state INTEGER NOT NULL,
  processor INTEGER NOT NULL,
  requested_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  settled_at INTEGER NOT NULL,
  held INTEGER NOT NULL DEFAULT 0
) STRICT;
${HOLDS}
${ATTEMPTS_TABLE}
CREATE TABLE totals (
  level INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  processor INTEGER NOT NULL,
  count INTEGER NOT NULL,
  high INTEGER NOT NULL,
  low INTEGER NOT NULL,
  PRIMARY KEY (level, bucket, processor)
) STRICT, WITHOUT ROWID;
${LOG_TABLE}
${ARCHIVE_TABLES}
PRAGMA application_id = ${applicationId};
PRAGMA user_version = ${schemaVersion};
`;
