/**
 * `npm run backup -- FILE`: a copy of the store as it is at this moment, while backends use it or not.
 * `npm run restore -- FILE`: a new store of such a copy, in an empty directory.
 *
 * Exit code 0: done. 1: not done, and nothing was changed, for a reason that is printed.
 */
import { formatInstant } from '../domain/instant.ts';
import { isSystemError } from '../domain/system-error.ts';
import { readStoreSetting } from '../settings/backend.ts';
import { option, readCommandLine } from '../settings/command-line.ts';
import { someText, UnusableSetting, wholeNumber } from '../settings/grammar.ts';
import { StoreOpenError } from '../storage/ports.ts';
import { makeBackup } from './make-backup.ts';
import { restoreBackup } from './restore-backup.ts';

const HOUR_MS = 3_600_000;
const FILE = { known: {}, max: 1, others: someText('the path of a file') };

function storeDirectory(): string {
  const store = readStoreSetting(process.env);
  if (store.is === 'sqlite') return store.directory;
  throw new UnusableSetting('STORE_URL names a database: back that up, and restore it, with its own tools');
}

function fileNamed(words: readonly string[]): string {
  if (words[0] === undefined) throw new UnusableSetting('it takes the path of a file');
  return words[0];
}

async function backUp(): Promise<string> {
  const { words } = readCommandLine({
    name: 'backup',
    command: 'npm run backup --',
    about: 'Copies the store of STORE_URL into FILE, a tar, as it is at this moment.',
    options: {},
    words: FILE,
    status: 1,
  });
  const file = fileNamed(words);
  const { payments, unsettled, logBytes, fileBytes } = await makeBackup(storeDirectory(), file, Date.now());
  return (
    `${file}: ${payments} payments in the index, ${unsettled} of them unsettled, ` +
    `and ${logBytes} bytes of log behind it; ${fileBytes} bytes, verified`
  );
}

function restore(): string {
  const { values, words } = readCommandLine({
    name: 'restore',
    command: 'npm run restore --',
    about: `Makes a new store of FILE in the directory of STORE_URL, which has to be empty. Both processors are asked
for each payment that is unsettled in it before it leaves, and for each that is accepted for some time.`,
    options: {
      'asks-first-hours': option(
        'for how long payments that come in are asked for first',
        'HOURS',
        wholeNumber(0, 8760, 'hours'),
        24,
      ),
    },
    words: FILE,
    status: 1,
  });
  const directory = storeDirectory();
  const untilMs = Date.now() + values['asks-first-hours'] * HOUR_MS;
  const { payments, unsettled, madeAtMs } = restoreBackup(fileNamed(words), directory, untilMs, Date.now);
  return (
    `${directory}: ${payments} payments as of ${formatInstant(madeAtMs)}; both processors will be asked for ` +
    `${unsettled} that are unsettled, and for what is accepted before ${formatInstant(untilMs)}`
  );
}

const isRestore = process.argv[2] === 'restore';
// What is read below are the words behind it.
process.argv.splice(2, 1);
const name = isRestore ? 'restore' : 'backup';
try {
  console.log(`${name}: ${isRestore ? restore() : await backUp()}`);
} catch (error) {
  const isExpected =
    error instanceof UnusableSetting || error instanceof StoreOpenError || isSystemError(error);
  if (!isExpected) throw error;
  console.error(`${name}: ${error.message}`);
  process.exitCode = 1;
}
