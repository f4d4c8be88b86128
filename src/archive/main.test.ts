/** On the real programs: payments that leave the store while it is used, and what remains of them. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { createZstdDecompress } from 'node:zlib';
import { Client } from 'undici';
import { absentProcessors, simulatedProcessors, startBackends } from '../testing/backends.ts';
import { installedPostgres, PostgresServer } from '../testing/postgres-server.ts';
import { ChildProcesses } from '../testing/processes.ts';
import { installedRedis, noRedis, RedisServer } from '../testing/redis-server.ts';
import { until } from '../testing/until.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
/** Of a second; so little that a test need not wait, so much that payments are settled before. */
const RETENTION_DAYS = String(1 / 86_400);
const PAYMENTS = 700;

async function run(children: ChildProcesses, environment: NodeJS.ProcessEnv) {
  const child = children.spawn('archive', process.execPath, [MAIN], environment);
  return { status: await child.exited, said: child.said().trim() };
}

/** The lines of all files of an archive, which its checksums are true of. */
async function archivedIn(directory: string): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = [];
  const path = join(directory, 'archive');
  for (const said of readFileSync(join(path, 'SHA256SUMS'), 'utf8').split('\n').slice(0, -1)) {
    const [sum, file] = said.split('  ') as [string, string];
    const bytes = readFileSync(join(path, file));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), sum);
    const stream = createZstdDecompress();
    stream.end(bytes);
    const text = Buffer.concat(await stream.toArray()).toString();
    for (const line of text.split('\n').slice(0, -1)) lines.push(JSON.parse(line));
  }
  assert.equal(readdirSync(path).filter(name => name.endsWith('.zst')).length > 0, true);
  return lines;
}

class Shop {
  readonly #client: Client;

  constructor(children: ChildProcesses) {
    this.#client = new Client('http://localhost', { socketPath: join(children.directory, 'backend-1.sock') });
  }

  async pay(correlationId: string, amount: number): Promise<number> {
    const body = JSON.stringify({ correlationId, amount });
    const answer = await this.#client.request({ method: 'POST', path: '/payments', body });
    await answer.body.dump();
    return answer.statusCode;
  }

  async get(path: string): Promise<{ readonly status: number; readonly json: Record<string, unknown> }> {
    const { statusCode, body } = await this.#client.request({ method: 'GET', path });
    return { status: statusCode, json: (await body.json()) as Record<string, unknown> };
  }

  async settled(): Promise<number> {
    const { json } = await this.get('/payments-summary');
    return Object.values(json).reduce(
      (sum: number, it) => sum + (it as { totalRequests: number }).totalRequests,
      0,
    );
  }

  close(): Promise<void> {
    return this.#client.destroy();
  }
}

test('backends archive what is old, beside the hand that does; ids stay refused, sums stay', async () => {
  await using children = new ChildProcesses();
  const store = join(children.directory, 'store');
  const environment = { RETENTION_DAYS };
  await startBackends(children, {
    ...{ processors: await simulatedProcessors(children), count: 2, storeDirectory: store, environment },
  });
  const shop = new Shop(children);
  const ids = Array.from({ length: PAYMENTS }, () => randomUUID());
  for (const id of ids) assert.equal(await shop.pay(id, 19.9), 202);
  await until(async () => (await shop.settled()) === PAYMENTS, 'all to be settled');
  const before = (await shop.get('/payments-summary')).json;
  // Both at once: whoever comes first.
  const archivedNow = async (): Promise<number> => {
    const { status, said } = await run(children, { ...environment, STORE_URL: `sqlite:${store}` });
    assert.equal(status, 0, said);
    assert.equal(said.split('\n').length, 1);
    return Number(/(\d+) payments are in the store/.exec(said)![1]);
  };
  const inArchive = (): number => {
    using database = new DatabaseSync(join(store, 'payments.db'), { readOnly: true });
    return (database.prepare('SELECT count(*) AS n FROM archived').get() as { n: number }).n;
  };
  // What the log had last, the index need not have yet.
  const isAll = async (): Promise<boolean> => (await archivedNow()) === 0 && inArchive() === PAYMENTS;
  await until(isAll, 'all to be archived');

  const lines = await archivedIn(store);
  assert.deepEqual(lines.map(line => line['correlationId']).sort(), [...ids].sort());
  assert.deepEqual((await shop.get('/payments-summary')).json, before);
  for (const id of ids.slice(0, 20)) {
    assert.deepEqual([await shop.pay(id, 19.9), await shop.pay(id, 19.91)], [202, 409]);
    const { json } = await shop.get(`/payments/${id}`);
    const line = lines.find(({ correlationId }) => correlationId === id)!;
    for (const name of ['amount', 'status', 'processor', 'requestedAt', 'acceptedAt', 'attempts'])
      assert.deepEqual(json[name], line[name], name);
  }
  assert.equal(await shop.settled(), PAYMENTS, 'what was sent again is not settled again');
  await shop.close();
});

interface ArchivedServer {
  readonly url: string;
  archived(): Promise<unknown>;
  /** Files whose checksum is not written down. */
  grown(): Promise<unknown>;
  readonly server: AsyncDisposable;
}

async function onRedis(): Promise<ArchivedServer> {
  const server = await RedisServer.start({ program: installedRedis()[0]! });
  return {
    ...{ server, url: server.url('name=books') },
    archived: () => server.ask('HGET', '{books}', 'xn'),
    grown: () => server.ask('SCARD', '{books}:g'),
  };
}

async function onPostgres(): Promise<ArchivedServer> {
  const server = await PostgresServer.start({ binaries: installedPostgres()[0]! });
  const count = async (of: string): Promise<unknown> =>
    (await server.query(`SELECT count(*) FROM books.${of}`))[0]!['count'];
  return {
    ...{ server, url: server.url('postgres', 'schema=books') },
    archived: () => count('archived'),
    grown: () => count('archive_files WHERE summed <> bytes'),
  };
}

const noPostgres = installedPostgres().length === 0 && 'PostgreSQL for tests is not installed';
const SERVERS = [
  ['PostgreSQL', onPostgres, noPostgres],
  ['Redis', onRedis, noRedis],
] as const;

for (const [title, start, skip] of SERVERS)
  test(`on ${title}, too: into files of the host that archives`, { skip }, () => archivesOn(start));

async function archivesOn(start: () => Promise<ArchivedServer>): Promise<void> {
  await using children = new ChildProcesses();
  const { server, url, archived, grown } = await start();
  await using _ = server;
  const directory = join(children.directory, 'kept');
  const environment = { RETENTION_DAYS, STORE_URL: url, ARCHIVE_DIR: join(directory, 'archive') };
  await startBackends(children, {
    ...{ processors: await simulatedProcessors(children), count: 2, environment },
  });
  const shop = new Shop(children);
  const ids = Array.from({ length: PAYMENTS }, () => randomUUID());
  for (const id of ids) assert.equal(await shop.pay(id, 19.9), 202);
  await until(async () => (await shop.settled()) === PAYMENTS, 'all to be settled');
  const before = (await shop.get('/payments-summary')).json;
  const isAll = async (): Promise<boolean> => Number(await archived()) === PAYMENTS;
  await until(isAll, 'all to be archived');
  // Whoever writes into the directory at that moment, or a pass that found nothing more.
  const { status, said } = await run(children, environment);
  const line =
    /^archive: (.*: 0 payments archived, 0 ids forgotten|ARCHIVE_DIR: .* another process writes .*)$/;
  assert.match(said, line);
  assert.equal(status, said.includes('ARCHIVE_DIR: ') ? 1 : 0);
  const isSummed = async (): Promise<boolean> => Number(await grown()) === 0;
  await until(isSummed, 'the checksums to be written');
  const lines = await archivedIn(directory);
  assert.deepEqual(lines.map(each => each['correlationId']).sort(), [...ids].sort());
  assert.deepEqual((await shop.get('/payments-summary')).json, before);
  for (const id of ids.slice(0, 20)) {
    assert.deepEqual([await shop.pay(id, 19.9), await shop.pay(id, 19.91)], [202, 409]);
    const { json } = await shop.get(`/payments/${id}`);
    const found = lines.find(({ correlationId }) => correlationId === id)!;
    for (const name of ['amount', 'status', 'processor', 'requestedAt', 'acceptedAt', 'attempts'])
      assert.deepEqual(json[name], found[name], name);
  }
  await shop.close();
}

test('without RETENTION_DAYS nothing is archived, and by hand there is one line that says what to set', async () => {
  await using children = new ChildProcesses();
  const store = join(children.directory, 'store');
  const STORE_URL = `sqlite:${store}`;
  assert.deepEqual(await run(children, { STORE_URL, RETENTION_DAYS }), {
    status: 1,
    said: `archive: STORE_URL: there is no store in ${store}`,
  });
  await startBackends(children, { processors: await absentProcessors(), count: 1, storeDirectory: store });
  assert.deepEqual(await run(children, { STORE_URL }), {
    status: 1,
    said: 'archive: RETENTION_DAYS says what is old, such as RETENTION_DAYS=30: set it',
  });
  const { status, said } = await run(children, { STORE_URL, RETENTION_DAYS: '-1' });
  assert.deepEqual(
    [status, /^archive: RETENTION_DAYS=-1 cannot be used: it takes [^\n]*$/.test(said)],
    [1, true],
    said,
  );
  assert.equal(existsSync(join(store, 'archive')), false);
});
