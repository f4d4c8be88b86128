/**
 * Makes the tables and functions in a schema of their own, or brings those of an earlier version up to date:
 * in one transaction, under a lock, so that of backends that start together one does it.
 */
import { StoreOpenError } from '../ports.ts';
import { actFunctionOf } from './act-function.ts';
import { archiveFunctionsOf, archiveTablesOf } from './archive-functions.ts';
import type { Ask } from './connection.ts';
import { memberFunctionsOf } from './member-functions.ts';
import { readFunctionsOf } from './read-functions.ts';
import { SCHEMA_VERSION, tablesOf } from './tables.ts';
import { describePostgresUrl, type PostgresUrl } from './url.ts';
import { SEQS_A_BATCH, writeFunctionOf } from './write-function.ts';

/** What the advisory lock is on; the rest of its key is the schema's name. */
const LOCK = 0x50e7;
const MIGRATE_MS = 60_000;

/** From each version of the tables to the next one. */
const stepsOf = (schema: string): readonly string[] => [
  `ALTER TABLE ${schema}.instances ADD base bigint NOT NULL DEFAULT 0,
    ALTER results DROP NOT NULL, ALTER results DROP DEFAULT,
    ADD fresh_requested bigint[] NOT NULL DEFAULT '{}', ADD fresh_processor smallint[] NOT NULL DEFAULT '{}',
    ADD fresh_cents bigint[] NOT NULL DEFAULT '{}';
  ALTER SEQUENCE ${schema}.seq INCREMENT BY ${SEQS_A_BATCH};`,
  `ALTER TABLE ${schema}.deployment ADD doubtful_term bigint NOT NULL DEFAULT 0,
    ADD doubtful_at bigint NOT NULL DEFAULT 0;
  ALTER TABLE ${schema}.instances ADD step bigint NOT NULL DEFAULT 0,
    ADD asks_until bigint NOT NULL DEFAULT 0, ADD started text NOT NULL DEFAULT '';`,
  archiveTablesOf(schema),
];

const functionsOf = (schema: string): string =>
  [writeFunctionOf, memberFunctionsOf, actFunctionOf, readFunctionsOf, archiveFunctionsOf]
    .map(each => each(schema))
    .join('\n');

/** The oldest one that works; the newest that was tried is 18. */
const SERVER_VERSION_MIN = 150_000;

/** Functions are made anew with each step: an older backend gets what they do now, or nothing. */
const stepSql = (schema: string, from: number, step: string): string => `
      IF (SELECT version FROM ${schema}.deployment) = ${from} THEN
        FOR f IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = '${schema}'::regnamespace LOOP
          EXECUTE 'DROP FUNCTION ' || f;
        END LOOP;
        EXECUTE $soquete$ ${step} $soquete$;
        ${from + 1 === SCHEMA_VERSION ? `EXECUTE $soquete$ ${functionsOf(schema)} $soquete$;` : ''}
        UPDATE ${schema}.deployment SET version = ${from + 1};
      END IF;`;

/** Returns the store's id. Throws `StoreOpenError` or `StoreFault`. */
export async function migrate(ask: Ask, url: PostgresUrl, serverVersion: number): Promise<string> {
  const { schema } = url;
  const where = `STORE_URL: ${describePostgresUrl(url)}`;
  if (serverVersion < SERVER_VERSION_MIN)
    throw new StoreOpenError(
      `${where} is PostgreSQL ${Math.floor(serverVersion / 10_000)}: it has to be 15 or newer`,
    );
  await ask(
    {
      text: `DO $migration$
    DECLARE f regprocedure;
    BEGIN
      PERFORM pg_advisory_xact_lock(${LOCK}, hashtext('${schema}'));
      IF to_regclass('${schema}.deployment') IS NULL THEN
        IF to_regnamespace('${schema}') IS NULL THEN CREATE SCHEMA ${schema}; END IF;
        EXECUTE $soquete$ ${tablesOf(schema)} $soquete$;
        EXECUTE $soquete$ ${functionsOf(schema)} $soquete$;
      END IF;
      ${stepsOf(schema)
        .map((step, before) => stepSql(schema, before + 1, step))
        .join('\n')}
    END $migration$`,
    },
    MIGRATE_MS,
  ).catch(error => {
    const isNotAllowed = error instanceof Error === false && String(error.detail).includes('(42501)');
    if (!isNotAllowed) throw error;
    throw new StoreOpenError(
      `${where}: the role may not make its tables (${error.detail}): ` +
        `GRANT CREATE ON DATABASE, or CREATE SCHEMA ${schema} AUTHORIZATION the role`,
    );
  });
  const [found] = await ask({ text: `SELECT version, store_id FROM ${schema}.deployment` });
  const version = Number(found?.['version']);
  if (version !== SCHEMA_VERSION)
    throw new StoreOpenError(
      `${where} was written by another soquete (version ${version} of the tables, this one knows ${SCHEMA_VERSION}): ` +
        'run that one, or take another schema or database',
    );
  return String(found!['store_id']);
}
