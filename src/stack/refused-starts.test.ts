/** A start that is refused, for whatever reason, says why in one line, and leaves the store as it was. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { takeName } from '../storage/embedded/name-lock.ts';
import { crc32 } from '../storage/embedded/shared-log/crc32.ts';
import { absentProcessors, type ProcessorPair, spawnBackend } from '../testing/backends.ts';
import { ChildProcesses, untilReady } from '../testing/processes.ts';

const home = mkdtempSync(join(tmpdir(), 'soquete-refused-'));
after(() => rmSync(home, { recursive: true }));

let processors: ProcessorPair;

/** A store that a backend leaves, with payments that wait: in what it stopped nothing is left to tidy up. */
async function leave(name: string): Promise<string> {
  const directory = join(home, name);
  await using children = new ChildProcesses();
  const path = join(children.directory, 'a.sock');
  const backend = spawnBackend(children, 'backend-1', `unix:${path}`, {
    processors,
    storeDirectory: directory,
  });
  await untilReady(backend, () => backend.said().includes('ready'));
  for (let n = 0; n < 20; n++) await postPayment(path);
  process.kill(backend.pid, 'SIGTERM');
  await backend.exited;
  return directory;
}

const postPayment = (socketPath: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: '/payments', method: 'POST' }, answer => {
      answer.resume().once('end', resolve);
      if (answer.statusCode !== 202) reject(new Error(`status ${answer.statusCode}`));
    });
    sent.once('error', reject);
    sent.end(JSON.stringify({ correlationId: randomUUID(), amount: 19.9 }));
  });

before(async () => {
  processors = await absentProcessors();
  await Promise.all([leave('ours'), leave('other')]);
});

const sumOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Every file below a directory, with what it holds; who opens a lock in this process would let go of it. */
function hashOf(directory: string): Record<string, unknown> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    names
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
      .map(path => [path, path.endsWith('.lock') ? statSync(path).size : sumOf(path)]),
  );
}

const change = (path: string, edit: (bytes: Buffer) => void): void => {
  const bytes = readFileSync(path);
  edit(bytes);
  writeFileSync(path, bytes);
};
const log = (directory: string, segment = 1): string => join(directory, 'log', `000000000${segment}.log`);
const index = (directory: string): string => join(directory, 'payments.db');
const other = join(home, 'other');

interface Refusal {
  readonly make: (directory: string) => unknown;
  readonly says: RegExp;
  readonly environment?: NodeJS.ProcessEnv;
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  'a setting that cannot be used': { make() {}, environment: { ACK_AFTER: 'never' }, says: /ACK_AFTER/ },
  'a socket that cannot be made': {
    make() {},
    environment: { LISTEN: 'unix:/nowhere/a.sock' },
    says: /LISTEN=unix:\/nowhere\/a.sock cannot be used/,
  },
  'a name that another process holds': {
    make: directory => takeName(directory, 'backend-1'),
    says: /INSTANCE backend-1 is in use/,
  },
  'a segment of another store': {
    make: directory => cpSync(log(other), log(directory, 2)),
    says: /0000000002\.log is of another store/,
  },
  'the index of another store': {
    make: directory => {
      for (const end of ['', '-wal', '-shm']) {
        rmSync(index(directory) + end, { force: true });
        if (existsSync(index(other) + end)) cpSync(index(other) + end, index(directory) + end);
      }
    },
    says: /0000000001\.log is of another store/,
  },
  'a copy of a segment': {
    make: directory => cpSync(log(directory), log(directory, 2)),
    says: /0000000002\.log is a copy of 0000000001\.log/,
  },
  'a segment of another version': {
    make: directory =>
      change(log(directory), bytes => {
        bytes[7] = 9;
        bytes.writeUInt32LE(crc32(bytes, 0, 28), 28);
      }),
    says: /0000000001\.log is of version 9/,
  },
  'a batch of another version': {
    make: directory =>
      change(log(directory), bytes => {
        const at = bytes.lastIndexOf(Buffer.of(0xfe, 0x53, 0xff, 0x51));
        bytes[at + 4] = 9;
        bytes.writeUInt32LE(crc32(bytes, at, at + 40), at + 40);
      }),
    says: /a batch of version 9/,
  },
  'a segment that is missing': {
    make: directory => rmSync(log(directory)),
    says: /0000000001\.log is not there any more/,
  },
  'a segment that is a link to nothing': {
    make(directory) {
      rmSync(log(directory));
      symlinkSync(join(directory, 'nowhere'), log(directory));
    },
    says: /0000000001\.log is not there any more/,
  },
  'a directory in place of a segment': {
    make(directory) {
      rmSync(log(directory));
      mkdirSync(log(directory));
    },
    says: /0000000001\.log \(EISDIR\): it has to be a file/,
  },
  'a file in place of the names': {
    make(directory) {
      rmSync(join(directory, 'names'), { recursive: true });
      writeFileSync(join(directory, 'names'), '');
    },
    says: /names \(EEXIST\): it has to be a directory/,
  },
  'an index that is missing': {
    make: directory => {
      for (const end of ['', '-wal', '-shm']) rmSync(index(directory) + end, { force: true });
    },
    says: /payments\.db that belongs to them is missing/,
  },
  'an index that is empty': {
    make: directory => {
      for (const end of ['-wal', '-shm']) rmSync(index(directory) + end, { force: true });
      writeFileSync(index(directory), '');
    },
    says: /payments\.db that belongs to them is missing/,
  },
  'an index of zeros': {
    make: directory => {
      for (const end of ['-wal', '-shm']) rmSync(index(directory) + end, { force: true });
      change(index(directory), bytes => bytes.fill(0));
    },
    says: /payments\.db/,
  },
  'an index of garbage': {
    make: directory => {
      for (const end of ['-wal', '-shm']) rmSync(index(directory) + end, { force: true });
      change(index(directory), bytes => bytes.fill(0xaa));
    },
    says: /payments\.db is damaged or not a store/,
  },
  'an index of a later version': {
    make: directory => {
      const database = new DatabaseSync(index(directory));
      database.exec('PRAGMA user_version = 99');
      database.close();
    },
    says: /written by another soquete \(version 99/,
  },
  'a directory that is a file': {
    make: directory => {
      renameSync(directory, `${directory}-away`);
      writeFileSync(directory, '');
    },
    says: /has to be a directory/,
  },
};

for (const [what, { make, says, environment = {} }] of Object.entries(REFUSALS)) {
  test(`${what} is one line and status 78, and changes nothing`, async t => {
    const directory = mkdtempSync(join(tmpdir(), 'soquete-refused-'));
    t.after(() => {
      for (const path of [directory, `${directory}-away`]) rmSync(path, { recursive: true, force: true });
    });
    cpSync(join(home, 'ours'), directory, { recursive: true });
    const made = make(directory);
    const wasFile =
      !readdirSync(join(directory, '..')).includes(directory) && existsSync(`${directory}-away`);
    const was = wasFile ? {} : hashOf(directory);
    await using children = new ChildProcesses();
    const options = { processors, storeDirectory: directory, environment };
    const backend = spawnBackend(
      children,
      'backend-1',
      `unix:${join(children.directory, 'a.sock')}`,
      options,
    );
    assert.equal(await backend.exited, 78, backend.said());
    assert.match(backend.said(), /^soquete: [^\n]+\n$/);
    assert.match(backend.said(), says);
    if (!wasFile) assert.deepEqual(hashOf(directory), was);
    if (what.startsWith('a name')) (made as ReturnType<typeof takeName>).release();
  });
}
