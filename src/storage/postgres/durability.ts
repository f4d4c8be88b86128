/** What a 202 survives, by what the server is set to and by `ACK_AFTER`. */
import type { ServerState } from './connection.ts';

export interface Durability {
  /** One line for people. */
  readonly survives: string;
  /** Why `ACK_AFTER` cannot be kept here. */
  readonly refusal?: string;
  readonly serverVersion: number;
}

export function durabilityOf(
  { standbys, isFsync, version }: ServerState,
  ackAfter: 'parse' | 'commit' | 'flush',
): Durability {
  const serverVersion = version;
  if (ackAfter === 'flush' && (standbys === '' || !isFsync)) {
    const [setting, needs] = isFsync
      ? ['synchronous_standby_names', 'to name a standby']
      : ['fsync', 'to be on'];
    const refusal = `ACK_AFTER=flush needs ${setting} ${needs} on the database: set it, or take ACK_AFTER=commit`;
    return { survives: '', refusal, serverVersion };
  }
  if (ackAfter === 'parse')
    return {
      survives: 'the death of any backend; the database may lose the last second when it dies',
      serverVersion,
    };
  const host = standbys === '' ? '' : `, and the loss of the database's host (standby: ${standbys})`;
  const disk = isFsync
    ? 'the death and power loss of any machine of ours'
    : 'the death of any process (fsync is off)';
  return { survives: `${disk}${host}`, serverVersion };
}
