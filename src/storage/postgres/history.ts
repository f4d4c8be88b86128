/**
 * Whether a server still has what it acknowledged.
 *
 * Each server's history has a name: the identifier of its cluster, and a timeline, which changes when a
 * standby is promoted and when a backup is restored to a point in time. In one history the position in the
 * WAL only grows. So a commit that was acknowledged is there if the history is the same and not shorter than
 * it was then; in any other case it may be gone.
 */
export interface ServerHistory {
  readonly system: string;
  readonly timeline: number;
  /** When this server started: another server, or another run of it, has another. */
  readonly started: string;
  /** Position in the WAL of what is written. */
  readonly lsn: bigint;
  /** Where the history of a running server ends: a batch that waits for no disk is beyond what is written. */
  readonly inserted: bigint;
}

export const HISTORY_SQL = `
  SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
    CASE WHEN pg_is_in_recovery() THEN NULL
      ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END AS timeline,
    extract(epoch FROM pg_postmaster_start_time())::text AS started,
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_lsn()::text END AS lsn,
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_insert_lsn()::text END AS inserted,
    pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on' AS is_read_only,
    current_setting('synchronous_standby_names') AS standbys,
    current_setting('fsync') = 'on' AS is_fsync,
    current_setting('server_version_num')::int AS version`;

/** `16/B374D848` as a number. */
export function lsnOf(text: string): bigint {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/**
 * Undefined when all that `before` had is in `now`; else what happened to it, for people. `isDurable`: what
 * was acknowledged had been flushed.
 */
export function lossBetween(
  before: ServerHistory,
  now: ServerHistory,
  isDurable: boolean,
): string | undefined {
  if (before.system !== now.system)
    return `another database cluster answers (${now.system}, before ${before.system})`;
  if (before.timeline !== now.timeline)
    return `the database went on in timeline ${now.timeline}, before ${before.timeline}: a standby was promoted, or a backup restored`;
  if (now.inserted < before.lsn)
    return `the database's history ends ${before.lsn - now.inserted} bytes before what it had acknowledged`;
  if (!isDurable && before.started !== now.started)
    return 'the database was started anew, and ACK_AFTER=parse does not wait for its disk';
  return undefined;
}
