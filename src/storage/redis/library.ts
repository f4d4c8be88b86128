/**
 * The functions, as one library whose name has a hash of its text in it: another build's library stands
 * beside it, so backends of two builds are at work on one server, and none is ever replaced under its users.
 */
import { createHash } from 'node:crypto';
import { ARCHIVE_LUA } from './archive-functions.ts';
import { ARCHIVED_LUA } from './archived-functions.ts';
import { MEMBER_LUA } from './member-functions.ts';
import { PAYMENT_LUA } from './payment-functions.ts';
import { COMMON_LUA, WRITE_LUA } from './write-function.ts';

/** Refused by a server without room; the rest makes the store no larger, or next to nothing. */
const GROWING = { write: 'write' };
const SMALL = {
  writeOver: 'write',
  open: 'open',
  takeName: 'takeName',
  join: 'join',
  confirm: 'confirm',
  beat: 'beat',
  fence: 'fence',
  adopt: 'adopt',
  takeChecker: 'takeChecker',
  report: 'report',
  rememberUrls: 'rememberUrls',
  purge: 'purge',
  leave: 'leave',
  act: 'act',
  keepArchive: 'keepArchive',
  archive: 'archive',
  forgetIds: 'forgetIds',
  filesSummed: 'filesSummed',
};
const ASKING = {
  look: 'look',
  find: 'find',
  take: 'take',
  takeHeld: 'takeHeld',

  held: 'held',
  unsettledPage: 'unsettledPage',
  archiveDue: 'archiveDue',
  archiveFiles: 'archiveFiles',
  grownFiles: 'grownFiles',
  arrivals: 'arrivals',
  owners: 'owners',
  urls: 'urls',
  heldCounts: 'heldCounts',
  history: 'history',
  summary: 'summary',
};

export type RedisFunction = keyof typeof GROWING | keyof typeof SMALL | keyof typeof ASKING;

const BODY = [COMMON_LUA, ARCHIVED_LUA, WRITE_LUA, MEMBER_LUA, PAYMENT_LUA, ARCHIVE_LUA].join('');
const HASH = createHash('sha256').update(BODY).digest('hex').slice(0, 12);

export const LIBRARY_NAME = `soquete_${HASH}`;

/** What it is called by. */
export const functionName = (name: RedisFunction): string => `${LIBRARY_NAME}_${name}`;

const register = (functions: Readonly<Record<string, string>>, flags: string): string =>
  Object.entries(functions)
    .map(
      ([name, body]) =>
        `redis.register_function{ function_name = '${LIBRARY_NAME}_${name}', flags = { ${flags} },
  callback = function(keys, args) prepare() return ${body}(keys, args) end }`,
    )
    .join('\n');

export const LIBRARY_CODE = `#!lua name=${LIBRARY_NAME}
${BODY}
${register(GROWING, '')}
${register(SMALL, `'allow-oom'`)}
${register(ASKING, `'no-writes'`)}
`;
