/**
 * Makes the tables and functions in a schema of their own, or brings those of an earlier version up to date:
 * in one transaction, under a lock, so that of backends that start together one does it.
 */
import { StoreOpenError } from '../ports.ts';
import { actFunctionOf } from './act-function.ts';
import type { Ask } from './connection.ts';
import { memberFunctionsOf } from './member-functions.ts';
import { readFunctionsOf } from './read-functions.ts';
import { SCHEMA_VERSION, tablesOf } from './tables.ts';
import { describePostgresUrl, type PostgresUrl } from './url.ts';
import { writeFunctionOf } from './write-function.ts';

/** What the advisory lock is on; the rest of its key is the schema's name. */
const LOCK = 0x50e7;
const MIGRATE_MS = 60_000;

/** The oldest one that works; the newest that was tried is 18. */
const SERVER_VERSION_MIN = 150_000;

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
      text: `DO $migration$ BEGIN
      PERFORM pg_advisory_xact_lock(${LOCK}, hashtext('${schema}'));
      IF to_regclass('${schema}.deployment') IS NULL THEN
        IF to_regnamespace('${schema}') IS NULL THEN CREATE SCHEMA ${schema}; END IF;
        EXECUTE $soquete$ ${tablesOf(schema)} $soquete$;
        EXECUTE $soquete$ ${writeFunctionOf(schema)} ${memberFunctionsOf(schema)} ${actFunctionOf(schema)} ${readFunctionsOf(schema)} $soquete$;
      END IF;
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
