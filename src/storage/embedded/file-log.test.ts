import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileLog } from './file-log.ts';
import { type Files, realFiles } from './files.ts';
import { decodeHeader, decodeRecords, HEADER_BYTES, RECORD_BYTES } from './log-format.ts';
import { SharedDirectoryFeed } from './shared-directory-feed.ts';

const ACCEPTED_AT = 1_783_686_896_000;

async function inDirectory(use: (directory: string) => void | Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-log-'));
  try {
    await use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const of = (generation: number) => ({ generation, term: 1 });

const id = (count: number): Int32Array => Int32Array.of(count, 2, 3, 4);

/** The first words of all ids in a segment file. */
function recorded(directory: string, file: string): number[] {
  const bytes = readFileSync(join(directory, 'log', file));
  const words: number[] = [];
  decodeRecords(bytes, HEADER_BYTES, bytes.length, (all, at) => words.push(Buffer.from(all).readInt32BE(at)));
  return words;
}

const segments = (directory: string): string[] => readdirSync(join(directory, 'log')).sort();

test('one write keeps all payments of a turn, under the generation of the log', () =>
  inDirectory(directory => {
    const writes: number[] = [];
    const files: Files = {
      ...realFiles,
      write: (fd, bytes, length, position) => {
        writes.push(length);
        return realFiles.write(fd, bytes, length, position);
      },
    };
    const log = new FileLog(directory, 'a', of(3), false, files);
    for (let count = 0; count < 1500; count++) log.append(id(count), 1990, ACCEPTED_AT);
    assert.equal(log.write(), true);
    assert.deepEqual(writes, [HEADER_BYTES, 1500 * RECORD_BYTES]);
    const [file] = segments(directory);
    assert.deepEqual(decodeHeader(readFileSync(join(directory, 'log', file!))), of(3));
    assert.equal(recorded(directory, file!).length, 1500);
    log.close(false);
  }));

test('a write that a full disk cut short leaves nothing behind, and later ones are kept', () =>
  inDirectory(directory => {
    let full = false;
    const files: Files = {
      ...realFiles,
      write(fd, bytes, length, position) {
        const written = realFiles.write(fd, bytes, full ? RECORD_BYTES + 7 : length, position);
        if (full) return written;
        return written;
      },
    };
    const log = new FileLog(directory, 'a', of(1), false, files);
    log.append(id(1), 1990, ACCEPTED_AT);
    assert.equal(log.write(), true);
    full = true;
    log.append(id(2), 1990, ACCEPTED_AT);
    log.append(id(3), 1990, ACCEPTED_AT);
    assert.equal(log.write(), false);
    assert.deepEqual(recorded(directory, segments(directory)[0]!), [1]);
    full = false;
    log.append(id(4), 1990, ACCEPTED_AT);
    assert.equal(log.write(), true);
    // Others may have read what was cut off, and do not read that place again: so it goes on in a new
    // segment.
    const all = segments(directory).map(segment => recorded(directory, segment));
    assert.deepEqual(all, [[1], [4]]);
    log.close(false);
  }));

test('`flushed` answers only after a sync that began after the write, and writers share one', () =>
  inDirectory(async directory => {
    const syncs: ((error: Error | null) => void)[] = [];
    const log = new FileLog(directory, 'a', of(1), true, {
      ...realFiles,
      sync: (_fd, done) => syncs.push(done),
    });
    const events: string[] = [];
    log.append(id(1), 1, ACCEPTED_AT);
    log.write();
    const first = log.flushed().then(kept => events.push(`first ${kept}`));
    log.append(id(2), 1, ACCEPTED_AT);
    log.write();
    const second = log.flushed().then(kept => events.push(`second ${kept}`));
    const third = log.flushed().then(kept => events.push(`third ${kept}`));
    assert.equal(syncs.length, 1);
    syncs[0]!(null);
    await first;
    assert.deepEqual(events, ['first true']);
    assert.equal(syncs.length, 2);
    syncs[1]!(new Error('the disk is gone'));
    await Promise.all([second, third]);
    assert.deepEqual(events, ['first true', 'second false', 'third false']);
    log.close(false);
  }));

test('the disk is made to have what nobody waits for, also of a segment that is left', () =>
  inDirectory(directory => {
    const syncs: (() => void)[] = [];
    const synced: number[] = [];
    const closed: number[] = [];
    const files: Files = {
      ...realFiles,
      sync(fd, done) {
        synced.push(fd);
        syncs.push(() => done(null));
      },
      close(fd) {
        closed.push(fd);
        realFiles.close(fd);
      },
    };
    const log = new FileLog(directory, 'a', of(1), false, files, 4);
    const write = (): void => {
      log.append(id(synced.length), 1, ACCEPTED_AT);
      log.write();
    };
    log.keep();
    assert.equal(synced.length, 0, 'there is nothing yet');
    write();
    log.keep();
    log.keep();
    assert.equal(synced.length, 1, 'one sync is on its way');
    write();
    syncs[0]!();
    log.keep();
    assert.equal(synced.length, 2, 'the second came too late for the first sync');
    syncs[1]!();
    log.keep();
    assert.equal(synced.length, 2);

    for (let count = 0; count < 2; count++) write();
    const [first] = synced;
    assert.deepEqual([synced.length, synced[2], closed.length], [3, first, 0], 'left, and not closed yet');
    syncs[2]!();
    assert.deepEqual(closed, [first]);
    log.close(false);
  }));

test('a segment may go once the store has all of it, and not before', () =>
  inDirectory(directory => {
    const log = new FileLog(directory, 'a', of(1), false);
    const { segment } = log;
    for (let count = 0; count < 2000; count++) log.append(id(count), 1, ACCEPTED_AT);
    log.write();
    for (let count = 0; count < 1999; count++) log.stored(segment);
    assert.deepEqual(log.removable(), []);
    log.stored(segment);
    assert.deepEqual(log.removable(), [segment]);
    assert.equal(segments(directory).length, 2);
    log.remove([segment]);
    assert.equal(segments(directory).length, 1);
    log.close(true);
    // Its name stays: the next life must not use it again, or followers would not open what that writes.
    const [last, ...more] = segments(directory);
    assert.deepEqual(more, []);
    assert.deepEqual(recorded(directory, last!), []);
  }));

test('a new life writes behind the segments of the one before, and removes them when told', () =>
  inDirectory(directory => {
    const before = new FileLog(directory, 'a', of(1), false);
    before.append(id(1), 1, ACCEPTED_AT);
    before.write();
    before.close(false);
    const now = new FileLog(directory, 'a', of(1), false);
    assert.ok(now.segment > before.segment);
    assert.equal(segments(directory).length, 2);
    now.removeEarlier();
    assert.equal(segments(directory).length, 1);
    now.close(true);
  }));

test('followers hear what others accept, find it by id, and forget it with its segment', () =>
  inDirectory(directory => {
    const other = new FileLog(directory, 'b', of(1), false);
    const heard: number[] = [];
    const follower = new SharedDirectoryFeed(directory, 'a', {
      accepted: words => heard.push(words[0]!),
      missed: () => assert.fail('nothing was missed'),
    });
    const own = new FileLog(directory, 'a', of(1), false);
    own.append(id(9999), 1, ACCEPTED_AT);
    own.write();
    for (let count = 0; count < 5000; count++) other.append(id(count), count, ACCEPTED_AT);
    other.write();
    follower.poll(1);
    assert.equal(heard.length, 5000);
    assert.deepEqual(follower.find(id(4321)), { cents: 4321, acceptedAtMs: ACCEPTED_AT });
    assert.equal(follower.find(id(9999)), undefined);
    other.append(id(6000), 1, ACCEPTED_AT);
    other.write();
    for (let count = 0; count <= 5000; count++) other.stored(other.segment);
    other.remove(other.removable());
    // The file is gone from the directory, but its last record is heard all the same.
    follower.poll(1);
    assert.equal(heard.at(-1), 6000);
    assert.equal(follower.find(id(4321)), undefined);
    follower.close();
    other.close(true);
    own.close(true);
  }));

test('a follower says when segments came and went unseen', () =>
  inDirectory(directory => {
    let missed = 0;
    const other = new FileLog(directory, 'b', of(1), false);
    const follower = new SharedDirectoryFeed(directory, 'a', { accepted: () => {}, missed: () => missed++ });
    follower.poll(1);
    other.rotate();
    follower.poll(1);
    assert.equal(missed, 0);
    other.rotate();
    other.rotate();
    other.remove([other.segment - 1]);
    follower.poll(1);
    assert.equal(missed, 1);
    follower.close();
    other.close(true);
  }));

test('what is of a generation before a purge is not heard', () =>
  inDirectory(directory => {
    const other = new FileLog(directory, 'b', of(1), false);
    other.append(id(1), 1, ACCEPTED_AT);
    other.write();
    const follower = new SharedDirectoryFeed(directory, 'a', {
      accepted: () => assert.fail('it was purged'),
      missed: () => {},
    });
    follower.poll(2);
    assert.equal(follower.find(id(1)), undefined);
    follower.close();
    other.close(true);
  }));
