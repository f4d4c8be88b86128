/** How long settled payments stay in the store, and their ids after that. */
import { type Environment, environmentReader } from './environment.ts';
import { instantMs, type SettingReader, someText, UnusableSetting } from './grammar.ts';

const DAY_MS_IN_SETTINGS = 86_400_000;
const DAYS_MAX = 36_500;

/** A number of days above 0 such as 30 or 0.5, in milliseconds. */
const days: SettingReader<number> = {
  takes: `a number of days above 0 and up to ${DAYS_MAX}`,
  read: text => {
    const value = /^\d{1,5}(\.\d{1,30})?$|^\.\d{1,30}$/.test(text) ? Number(text) : 0;
    return value > 0 && value <= DAYS_MAX ? value * DAY_MS_IN_SETTINGS : undefined;
  },
};

/** Undefined: both are kept for ever. Throws `UnusableSetting`. */
export function readRetention(environment: Environment) {
  const read = environmentReader(environment);
  const keptMs = read('RETENTION_DAYS', undefined, days);
  const idsKeptMs = read('IDS_KEPT_DAYS', Number.POSITIVE_INFINITY, days);
  if (keptMs === undefined) {
    if (idsKeptMs === Number.POSITIVE_INFINITY) return undefined;
    throw new UnusableSetting('IDS_KEPT_DAYS cannot be used alone: set RETENTION_DAYS as well');
  }
  const exactFromMs = read('AUDIT_FROM', 0, instantMs);
  if (idsKeptMs >= keptMs) return { keptMs, idsKeptMs, exactFromMs };
  throw new UnusableSetting('IDS_KEPT_DAYS cannot be used: it takes at least RETENTION_DAYS');
}

/** Where a host has the archive of a store on a server. Throws `UnusableSetting`. */
export const readArchiveDirectory = (environment: Environment): string =>
  environmentReader(environment)('ARCHIVE_DIR', './data/archive', someText('a directory'));
