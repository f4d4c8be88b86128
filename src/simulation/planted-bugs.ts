/**
 * Bugs planted in the engine's own code, by its text (see `testing/planting.ts`): each takes one rule away
 * that keeps the order of the log, the identity of its users, or what is left of it after damage. The plan
 * makes them quick to find; what finds them are the same checks as everywhere.
 */

import { INDEX_LAG } from '../storage/embedded/indexing.ts';
import type { Planted } from '../testing/planting.ts';
import { goingBack, type Kind, NO_RATES, type WorldPlan } from './plan.ts';

export interface PlantedBug {
  readonly bug: Planted;
  readonly plan: (plan: WorldPlan) => WorldPlan;
}

const ARCHIVER = 'storage/embedded/archive/archiver.ts';
const ADDRESSES = 'payments/processor-addresses.ts';
const APPENDING = 'storage/embedded/appending.ts';
const RESERVE = 'payments/disk-reserve.ts';
const DECODER = 'storage/embedded/shared-log/decoder.ts';
const ENGINE = 'storage/embedded/embedded-store.ts';
const INDEXING = 'storage/embedded/indexing.ts';
const LOG_INDEX = 'storage/embedded/index/log-index.ts';
const MEMORY_STATE = 'storage/memory/state.ts';
const MEMORY_STORE = 'storage/memory/store.ts';
const MEMBERS = 'storage/embedded/shared-log/ordered-members.ts';
const ORDER = 'storage/embedded/shared-log/order.ts';
const READER = 'storage/embedded/shared-log/reader.ts';
const STATEMENTS = 'storage/embedded/index/statements.ts';
const STORE_WRITER = 'payments/store-writer.ts';
const WRITER = 'storage/embedded/shared-log/writer.ts';

/** The shared log under these faults and no others. */
const under =
  (...kinds: readonly Kind[]) =>
  (plan: WorldPlan): WorldPlan => ({
    ...plan,
    ackAfter: 'commit',
    policy: { defaultAttempts: 2, backoffMinMs: 50, backoffMaxMs: 50, fallbackAfterMs: 500 },
    storeIsRemote: false,
    payments: 60,
    breakMs: 6000,
    burstMax: 12,
    queueCapacity: 1024,
    concurrency: 16,
    segmentRecords: 8,
    retentionMs: 0,
    rates: { ...NO_RATES, ...Object.fromEntries(kinds.map(kind => [kind, 1])) },
  });

const bug = (file: string, from: string, to: string, plan: PlantedBug['plan']): PlantedBug => ({
  bug: { file, from, to },
  plan,
});

/** Payments are archived as soon as they are settled, or nearly. */
const archiving =
  (...kinds: readonly Kind[]) =>
  (plan: WorldPlan): WorldPlan => ({ ...under(...kinds)(plan), retentionMs: 400 });

const racing = under('preempted', 'sameIdAtOnce', 'sameIdLater', 'otherAmount', 'pause', 'processorFails');

/** Processors have other addresses again and again, while payments may be at the earlier ones. */
const moving = under('urlChanged', 'answerLost', 'processorAway', 'crash');

/** A store on another machine goes back again and again, while payments go to either processor. */
const older = (...kinds: readonly Kind[]): PlantedBug['plan'] => {
  const plan = under('processorFails', 'sameIdLater', ...kinds);
  return drawn => ({ ...goingBack(plan(drawn)), attemptTimeoutMs: 500, breakMs: 15_000, storeDelayMs: 3 });
};

export const PLANTED_BUGS: Readonly<Record<string, PlantedBug>> = {
  'a batch of an epoch that has ended counts': bug(
    MEMBERS,
    'this.#byEpoch.delete(member.epoch);',
    '',
    racing,
  ),

  'of two amounts of an id both count': bug(
    ORDER,
    'return rows[known + row.ROW_CENTS] === cents ? decided.SAME_AMOUNT : decided.ANOTHER_AMOUNT;',
    'return decided.SAME_AMOUNT;',
    racing,
  ),

  'a batch counts that rests on an old look-up': bug(
    ORDER,
    'batch.marksSeen < this.marks - 1 ? decided.BATCH_STALE : decided.COUNTED',
    'decided.COUNTED',
    racing,
  ),

  'an heir takes what another heir has': bug(
    MEMBERS,
    'if ((shares & (1 << share)) === 0 || heirs[share] !== dead) continue;',
    'if ((shares & (1 << share)) === 0) continue;',
    under('crash', 'neverBack', 'pause', 'processorFails', 'preempted'),
  ),

  'a batch from before a purge counts': bug(
    ORDER,
    'if (batch.generation < this.generation) return decided.BATCH_PURGED;',
    '',
    under('preempted', 'purge', 'sameIdLater', 'crash'),
  ),

  'a join does not end the last one of its name': bug(
    MEMBERS,
    'if (before?.isAlive) this.end(before);',
    '',
    under('crash', 'diskOut', 'sameName'),
  ),

  'a repeated batch is carried out again': bug(
    APPENDING,
    'if (first !== undefined) return first;',
    '',
    under('replyLost'),
  ),

  'a process does not hold its name': bug(
    ENGINE,
    'this.#held = this.#parts.takeName?.();',
    '',
    under('sameName'),
  ),

  'a batch is read that is still being written': bug(
    DECODER,
    'if (batchEnd > end) return false;',
    'if (batchEnd > end) return true;',
    under('halfSeen'),
  ),

  'behind a write that was cut short nothing is read': bug(
    READER,
    'if (next === -1) return at;',
    'if (next > -2) return length;',
    under('writeCut', 'logTorn', 'crash'),
  ),

  'what was appended behind a seal is taken for written': bug(
    WRITER,
    'if (this.#reader.segment !== segment) continue;',
    'if (this.#reader.segment !== segment) return COUNTED;',
    under('preempted'),
  ),

  'what the tables lost with the power is not moved again': bug(
    LOG_INDEX,
    'order.heldFrom = this.#position;',
    '',
    plan => ({ ...under('powerLoss')(plan), ackAfter: 'flush' }),
  ),

  'the table drops what only the last mark is about': bug(
    ORDER,
    'this.keptFrom = this.indexedTo;',
    'this.keptFrom = indexedTo;',
    racing,
  ),

  'what the dead own is not adopted': bug(
    ENGINE,
    'for (const dead of members.deadOwners()) log.batch().adopt(dead, ALL_SHARES);',
    '',
    under('crash', 'neverBack', 'processorFails'),
  ),

  'payments are taken though there is no room to settle them': bug(
    RESERVE,
    'this.#isLow = free <',
    'this.#isLow = free < 0 &&',
    under('logFull', 'processorFails'),
  ),

  'a store that had no room is not asked again': bug(
    STORE_WRITER,
    'this.#room.askLater();',
    '',
    under('storeFull'),
  ),

  'a segment is removed before the disk has the index': bug(
    INDEXING,
    'index.sync(answer => {',
    'index.advance(answer => {',
    plan => ({ ...under('powerLoss')(plan), segmentRecords: 2 }),
  ),

  // A purge alone would be hidden: all join anew behind it, and wait for the disk.
  'purges and joins are answered before the disk has them': bug(
    ENGINE,
    'this.#replyFromDisk(answer, reply);\n    this.#answer<T>(',
    'reply(answer);\n    this.#answer<T>(',
    under('purge', 'powerLoss'),
  ),

  'the index is all that the disk is given once a second': bug(
    INDEXING,
    'log.flush(error => {',
    '((flushed: (error: Error | null) => void) => flushed(null))(error => {',
    plan => ({ ...under('powerLoss')(plan), segmentRecords: 1024, indexLag: INDEX_LAG }),
  ),

  'an archived payment is not known any more': bug(
    STATEMENTS,
    'ARCHIVED} WHERE id = ?1`;',
    'ARCHIVED} WHERE id = NULL`;',
    archiving('sameIdLater'),
  ),

  'an archived payment leaves the sums': bug(
    ARCHIVER,
    'total.run(level, bucket, processor, count, high, low);',
    '',
    archiving(),
  ),

  'lines that a power loss made unknown stay in a file': bug(
    ARCHIVER,
    'this.#folder.append(name, bytes, frame);',
    'this.#folder.append(name, this.#folder.size(name), frame);',
    archiving('powerLoss'),
  ),

  'what may be at an earlier address does not stop a start': bug(
    ADDRESSES,
    'if (!mayHold) for (const each of changed) await refusePins(store, each, before![each]);',
    'if (!mayHold) changed.length = 0;',
    moving,
  ),

  'what may be at an earlier address is not held': bug(
    ADDRESSES,
    'for (const { id } of pinned) await hold(store, { id, text, atMs: nowMs() });',
    'if (text !== "") break;',
    moving,
  ),

  'another address is not remembered': bug(
    ADDRESSES,
    'if (before === undefined || changed.length > 0)',
    'if (before === undefined)',
    moving,
  ),

  'a payment goes that is not settled': bug(
    ARCHIVER,
    'SETTLED} AND max(',
    'SETTLED} OR max(',
    archiving('processorAway', 'crash'),
  ),

  'settlements that wait never leave by themselves': bug(
    STORE_WRITER,
    'if (this.#settled.waitMs === 0) this.#recordSettled();',
    '',
    plan => ({ ...under()(plan), storeIsRemote: true }),
  ),

  'it is not noticed that a store lacks what it acknowledged': bug(
    MEMORY_STORE,
    'if (behind > 0)',
    'if (behind > 1e9)',
    older(),
  ),

  'what another one had is taken for new, before that one has said what it had': bug(
    MEMORY_STORE,
    'if (unheard !== undefined)',
    'if (unheard === null)',
    older('sameIdAtOnce', 'pause', 'slowTurns', 'storeSlow'),
  ),

  'an instance that lost nothing goes on as before, where another one lost something': bug(
    MEMORY_STATE,
    'view.epoch += 1;',
    'view.epoch += 0;',
    older(),
  ),

  'a store that went back is asked at once': bug(
    MEMORY_STORE,
    'nowMs - doubtfulSinceMs >= doubt.calmMs',
    'nowMs >= doubtfulSinceMs',
    older('lateRecord', 'messageLate', 'answerLost'),
  ),
};
