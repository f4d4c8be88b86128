/**
 * The rules of order: what the records of the shared log mean, by where they stand.
 *
 * Every instance feeds every batch, in the order of the log, to an `Order` of its own. The log is the same
 * for all, and an `Order` asks nothing else: so all of them hold the same opinion at the same position, and
 * no question needs a lock, a message or a vote. An instance asks by appending a batch and reading up to it.
 *
 * 1. ONE ORDER. All see the same whole batches in the same order.
 *    The kernel holds the file's lock while it appends, so no two batches overlap and an offset never
 *    changes. Whether a batch is whole is a matter of its bytes alone. What is not whole with a whole one
 *    behind it is final, for that one was appended to it: so nobody passes over what somebody else will see
 *    whole later. A segment's seal is in the order too; what stands behind it counts for nobody (`SEALED`),
 *    and nobody appends to the next segment who has not read the seal: so each segment is wholly in front of
 *    the next.
 *
 * 2. WHOLE AND ONCE. A batch counts whole or not at all, and at most once, however often it is appended.
 *    What is torn is never taken apart, so an append that was cut short may be repeated as it is.
 *    An epoch numbers its batches, and one counts only if its number is above that of the last that counted.
 *    An instance appends number n+1 only when it has read what became of n: so no number is passed over.
 *    A repeated n is not above n (`REPEATED`); one that did not count has used no number.
 *
 * 3. THE FENCE. No batch of an epoch counts behind a fence, a leave or a later join of its name (`FENCED`).
 *    Each of them takes the epoch off the living, and a batch needs a living epoch. Epochs are given by
 *    joins, one more each time, so an epoch that has ended never comes back. A fence names the epoch and the
 *    beat that its writer saw: if the instance has beaten since, in the order, the fence does not count.
 *    So an instance that is paused wherever it be, and wakes up, finds its next batch fenced, and sends
 *    nothing.
 *
 * 4. ONE AMOUNT AN ID. Of all acceptances of an id the first one counts; another amount gets its conflict.
 *    The first that is fed here puts the id into the table; every later one finds it there, for the id leaves
 *    the table only when the index has it, and 5 says that then a writer has looked it up there.
 *    An instance that loses learns so from its own batch, before it has answered anybody.
 *    Its intents of that payment do not count either: the payment's origin is not its epoch (6).
 *
 * 5. FRESH KNOWLEDGE. A batch about payments counts only if its writer had read all index marks but the last
 *    one when it asked the index (`STALE`: ask again, append again).
 *    Mark m is appended when the index has all in front of its position P(m), so who has read m finds that
 *    there. At mark c the table drops what stands before P(c-1), and keeps the rest. A writer that had read
 *    c-1 knows from the index what stands before P(c-1), and the table knows what stands behind: nothing
 *    between.
 *
 * 6. ONE OWNER. An intent, an end, a settlement or a hold counts only if its payment belongs to the batch's
 * epoch.
 *    A payment belongs to its origin while that lives; then to the heir of its share, who has adopted it from
 *    a dead epoch. Of two who adopt a share the first one does, as the second finds that it is not the dead
 *    one's any more. So at each position it has at most one owner, and that one lives.
 *    Adopting comes behind the fence: the heir has read every intent that the dead one could send (3).
 *
 * 7. ONE PROCESSOR. An intent counts only if no earlier one to the other processor may still be on its way.
 *    A payment that is sent or pinned may go to its own processor only. A sent one is free again when its
 *    owner, who alone knows, says that it ended unprocessed. Sent on top of an attempt whose end nobody has,
 *    as of a dead owner, it is pinned, and no end lifts that. A payment that is settled or closed takes no
 *    intent. An operator's act counts only while the payment is in the state that the operator saw, and ends
 *    none that is sent. What has left the table its owner has from the index (5).
 *
 * 8. ONE GENERATION. Behind a purge no batch about payments counts that its writer made before it read of it.
 *    A purge raises the generation and empties the table; a batch names the generation that its writer knew.
 *    One of an older generation does not count (`PURGED`), so nothing that was forgotten comes back.
 *    A purge names the generation that it ends: of two at one moment one counts.
 *
 * 9. LEASES. At each position at most one epoch has a lease, and it lives.
 *    Taking it names the holder that was seen, so of two takers the first one gets it, as the second names a
 *    holder that is none any more. An epoch that ends lets go of its leases in the same step (3).
 *    What only the holder may say (health, index marks) counts only from the holder.
 */
import { SETTLED, WAITING } from '../../../domain/payment.ts';
import { actAt, type OrderedAct } from './acts.ts';
import { beginRun, CALM_BEATS } from './boots.ts';
import { believe } from './damaged-order.ts';
import type { BatchView } from './decoder.ts';
import type { BatchVerdict, EachCounted, OrderedHealth, OrderState } from './order-state.ts';
import * as decided from './order-state.ts';
import { CHECKER, INDEXER, OrderedMembers, shareOf } from './ordered-members.ts';
import * as record from './records.ts';
import { recordBytes, recordDetail, recordKind, recordText } from './records.ts';
import { isLast, isOnlyKept, mayChange, writeRow } from './row-changes.ts';
import { segmentAt } from './segments.ts';
import * as row from './tail-table.ts';
import { TailTable } from './tail-table.ts';

const text = new TextDecoder();

export class Order {
  readonly store: number;
  readonly members = new OrderedMembers();
  readonly tail = new TailTable();
  /** What became of each record of the batch that was fed last. */
  results = new Float64Array(64);
  health: [OrderedHealth, OrderedHealth] = [
    { isFailing: false, minResponseMs: 0, version: 0 },
    { isFailing: false, minResponseMs: 0, version: 0 },
  ];
  /** What operators did, as far as the index may not have it; in order. */
  acts: OrderedAct[] = [];
  /** Of the payment that was accepted last. */
  seq = 0;
  generation = 1;
  /** Index marks so far. */
  marks = 0;
  /** The index has all in front of these positions: by the last mark, by the one before, and on its disk. */
  indexedTo = 0;
  keptFrom = 0;
  durableTo = 0;
  /** The last segment that is sealed. */
  sealed = 0;
  /** Sums up all that was ever decided: equal for all who are at the same position. */
  digest = 0;
  /** Names the run of the machine. */
  boot = 0;
  /** Rises when what is in front may be older than what became of it: then what waits is pinned. */
  term = 1;
  /** Where the last batch begins that changed what the index has. */
  touchedAt = 0;
  /** Where the batch begins that purged last. */
  purgedAt = 0;
  /** Where the batch begins that pinned what waits. */
  termAt = -1;
  /** Where the batch begins that made what is unsettled uncertain. */
  doubtAt = -1;
  /** What is accepted before this instant is uncertain. */
  asksFirstUntilMs = 0;
  /** The processors' addresses; empty: nobody has said. */
  urls: readonly string[] = [];
  /** Somebody has lived for long since `doubtAt`. */
  isCalm = true;
  /** A part of the log was damaged since the last term began: what waits may have been sent. */
  isDamaged = false;
  /** Others have found damage where this has read what stood there: they may decide otherwise. */
  isAstray = false;
  /** The table keeps what stands behind this, whatever the marks say. */
  heldFrom = Infinity;
  readonly #eachCounted: EachCounted | undefined;
  readonly #words = new Int32Array(4);

  constructor(store: number, eachCounted?: EachCounted) {
    this.store = store;
    this.#eachCounted = eachCounted;
  }

  /** Feeds the batch that begins at `position` of the log. */
  feed(batch: BatchView, position: number): BatchVerdict {
    const verdict = this.#judge(batch, position);
    if (verdict === decided.COUNTED) this.#carryOut(batch, position);
    this.digest = (Math.imul(this.digest ^ batch.sum, 0x9e3779b1) + verdict) >>> 0;
    return verdict;
  }

  /**
   * What stood in a damaged part of the log is not known to anybody who reads it now, nor whose it was:
   * acceptances of all may be missing, and what was sent. Whoever joins next begins a term.
   */
  passedOver(): void {
    this.members.doubt();
    this.isDamaged = true;
  }

  save(): OrderState {
    const { seq, generation, marks, indexedTo, keptFrom, durableTo, sealed, digest } = this;
    const { boot, term, touchedAt, purgedAt, termAt, isDamaged, doubtAt, asksFirstUntilMs, isCalm } = this;
    const position = { marks, indexedTo, keptFrom, durableTo, sealed, touchedAt, purgedAt, termAt, doubtAt };
    const health = this.health.map(report => ({ ...report }));
    return {
      seq,
      generation,
      digest,
      boot,
      term,
      isDamaged,
      asksFirstUntilMs,
      isCalm,
      urls: this.urls,
      ...position,
      health,
      members: this.members.save(),
    };
  }

  restore({ health, members, ...numbers }: OrderState, tail: Float64Array): void {
    Object.assign(this, numbers);
    this.health = [{ ...health[0]! }, { ...health[1]! }];
    this.members.restore(members);
    this.tail.restore(tail);
  }

  #judge(batch: BatchView, position: number): BatchVerdict {
    if (batch.store !== this.store) return decided.BATCH_FOREIGN;
    if (segmentAt(position) <= this.sealed) return decided.BATCH_SEALED;
    if (this.isDamaged) believe(this, batch, position);
    if (batch.epoch === 0) return decided.COUNTED;
    const member = this.members.living(batch.epoch);
    if (member === undefined) return decided.BATCH_FENCED;
    if (batch.number <= member.batch) return decided.BATCH_REPEATED;
    if (!batch.hasPayments) return decided.COUNTED;
    if (batch.generation < this.generation) return decided.BATCH_PURGED;
    return batch.marksSeen < this.marks - 1 ? decided.BATCH_STALE : decided.COUNTED;
  }

  #carryOut(batch: BatchView, position: number): void {
    if (this.results.length < batch.count) this.results = new Float64Array(batch.count * 2);
    const member = this.members.living(batch.epoch);
    if (member !== undefined) member.batch = batch.number;
    const { view } = batch.source;
    let at = batch.recordsAt;
    for (let index = 0; index < batch.count; index++) {
      const kind = recordKind(view, at);
      let result: number = decided.VOID;
      if (kind <= record.LAST_PAYMENT_KIND) result = this.#payment(kind, batch, at, position);
      else if (batch.epoch !== 0 || kind === record.JOIN || kind === record.BOOT)
        result = this.#cluster(kind, batch, at, position);
      this.results[index] = result;
      this.digest = (Math.imul(this.digest, 0x85ebca6b) + result) | 0;
      at += recordBytes(view, at);
    }
  }

  #payment(kind: number, batch: BatchView, at: number, position: number): number {
    const { view } = batch.source;
    const words = this.#words;
    for (let word = 0; word < 4; word++) words[word] = view.getInt32(at + 8 + word * 4);
    const origin = view.getUint32(at + 24, true);
    const known = this.tail.find(words, 0);
    // A purge in front of it in its own batch.
    if (batch.generation !== this.generation) return decided.VOID;
    let result: number;
    if (kind === record.ACCEPT) result = this.#accept(batch, at, origin, known, position);
    else result = this.#change(kind, batch, at, origin, known, position) ? 1 : decided.VOID;
    if (result > 0) this.touchedAt = position;
    if (result > 0 && this.#eachCounted !== undefined) {
      this.#eachCounted(kind, known < 0 ? (this.tail.count - 1) * row.ROW_COLUMNS : known, batch, at);
    }
    return result;
  }

  /** Rule 4. */
  #accept(batch: BatchView, at: number, origin: number, known: number, position: number): number {
    const { view } = batch.source;
    const { epoch } = batch;
    const cents = view.getFloat64(at + 28, true);
    if (known >= 0) {
      const { rows } = this.tail;
      const hasAmount = rows[known + row.ROW_SEQ] !== 0;
      // The index has it, and the writer has not looked (5), or has not minded.
      if (!hasAmount && !this.members.isDoubted(rows[known + row.ROW_ORIGIN]!)) return decided.VOID;
      // One that is settled needs nothing, and the index may have counted it.
      const isUnaccepted = !hasAmount && rows[known + row.ROW_STATE]! < SETTLED;
      if (isUnaccepted && this.isDamaged) this.#acceptLate(known, batch, at, position);
      if (!isUnaccepted || this.isDamaged)
        return rows[known + row.ROW_CENTS] === cents ? decided.SAME_AMOUNT : decided.ANOTHER_AMOUNT;
    }
    if (origin !== epoch || this.members.living(epoch) === undefined) return decided.VOID;
    const start = known < 0 ? this.tail.add(this.#words, 0) : this.tail.renew(known);
    const { rows } = this.tail;
    this.seq += 1;
    rows[start + row.ROW_SEQ] = this.seq;
    rows[start + row.ROW_CENTS] = cents;
    const acceptedAtMs = view.getFloat64(at + 36, true);
    rows[start + row.ROW_ACCEPTED_AT] = acceptedAtMs;
    rows[start + row.ROW_ORIGIN] = epoch;
    rows[start + row.ROW_STATE] = acceptedAtMs < this.asksFirstUntilMs ? ~WAITING : WAITING;
    rows[start + row.ROW_POSITION] = position;
    this.members.count(epoch, shareOf(this.#words[3]!), 1);
    return this.seq;
  }

  /**
   * Behind damage, records speak of a payment whose acceptance was passed over: this is what they need, but
   * not its owner. Once all of that time are ended, it is accepted anew instead, by the one that it comes to,
   * as is what nothing speaks of: who inherits it cannot work on it.
   */
  #acceptLate(known: number, batch: BatchView, at: number, position: number): void {
    const { rows } = this.tail;
    const { view } = batch.source;
    this.seq += 1;
    rows[known + row.ROW_SEQ] = this.seq;
    rows[known + row.ROW_CENTS] = view.getFloat64(at + 28, true);
    rows[known + row.ROW_ACCEPTED_AT] = view.getFloat64(at + 36, true);
    rows[known + row.ROW_POSITION] = position;
    this.members.count(rows[known + row.ROW_ORIGIN]!, shareOf(this.#words[3]!), 1);
    this.touchedAt = position;
    this.#eachCounted?.(record.ACCEPT, known, batch, at);
  }

  /** Rules 6 and 7. */
  #change(
    kind: number,
    batch: BatchView,
    at: number,
    origin: number,
    known: number,
    position: number,
  ): boolean {
    const { tail, members } = this;
    const { view } = batch.source;
    if (this.isDamaged) members.claim(origin);
    const isOwner = this.isDamaged || members.owner(origin, shareOf(this.#words[3]!)) === batch.epoch;
    // An operator acts through any instance that lives.
    if (kind === record.ACT ? members.living(batch.epoch) === undefined : !isOwner) return false;
    if (known >= 0 && tail.rows[known + row.ROW_ORIGIN] !== origin) return false;
    if (known >= 0 && !mayChange(kind, view, at, tail.rows, known)) return false;
    if (kind === record.ACT) this.acts.push(actAt(batch.source, at, position));
    if (isOnlyKept(kind, view, at)) return true;
    const start = known < 0 ? tail.add(this.#words, 0) : known;
    tail.rows[start + row.ROW_ORIGIN] = origin;
    tail.rows[start + row.ROW_POSITION] = position;
    writeRow(kind, view, at, tail.rows, start, known < 0);
    if (isLast(kind, view, at)) members.count(origin, shareOf(this.#words[3]!), -1);
    return true;
  }

  #cluster(kind: number, batch: BatchView, at: number, position: number): number {
    const { members } = this;
    const { bytes, view } = batch.source;
    const detail = recordDetail(view, at);
    if (kind === record.JOIN) {
      const name = text.decode(recordText(bytes, view, at + 12));
      const seen = this.isDamaged ? (members.named(name)?.epoch ?? 0) : view.getUint32(at + 8, true);
      return batch.epoch === 0 ? members.join(name, seen, this.generation, detail === 1) : decided.VOID;
    }
    if (kind === record.BOOT) return beginRun(this, view, at, position);
    const self = members.living(batch.epoch);
    if (self === undefined) return decided.VOID;
    switch (kind) {
      case record.LEAVE:
        members.end(self);
        return 1;
      case record.FENCE: {
        const other = members.living(view.getUint32(at + 8, true));
        if (other === undefined || other === self) return decided.VOID;
        if (other.beat !== view.getFloat64(at + 12, true)) return decided.VOID;
        members.end(other);
        return 1;
      }
      case record.BEAT:
        self.beat += 1;
        this.isCalm ||= self.beat >= CALM_BEATS;
        self.beatAtMs = view.getFloat64(at + 8, true);
        self.figures = text.decode(recordText(bytes, view, at + 16));
        return 1;
      case record.URLS:
        this.urls = JSON.parse(text.decode(recordText(bytes, view, at + 8)));
        return 1;
      case record.LEASE:
        return members.takeLease(detail, view.getUint32(at + 8, true), batch.epoch) ? 1 : decided.VOID;
      case record.REPORT:
        return this.#report(batch.epoch, detail, view, at) ? 1 : decided.VOID;
      case record.PURGE:
        if (view.getUint32(at + 8, true) !== this.generation) return decided.VOID;
        this.purge(this.generation + 1, position);
        return 1;
      case record.ADOPT:
        return members.adopt(view.getUint32(at + 8, true), view.getUint32(at + 12, true), batch.epoch);
      case record.INDEXED:
        return this.#mark(batch.epoch, view.getFloat64(at + 8, true), detail === 1, position)
          ? 1
          : decided.VOID;
      case record.EMPTY:
        if (members.holder(INDEXER) !== batch.epoch) return decided.VOID;
        return members.forget(view.getUint32(at + 8, true), detail === 1) ? 1 : decided.VOID;
      case record.SEAL:
        if (view.getUint32(at + 8, true) !== segmentAt(position) + 1) return decided.VOID;
        this.sealed = segmentAt(position);
        return 1;
      default:
        return decided.VOID;
    }
  }

  /** Rule 8. */
  purge(generation: number, position: number): void {
    this.generation = generation;
    this.touchedAt = position;
    this.purgedAt = position;
    this.tail.clear();
    this.acts = [];
    this.members.forgetEstates();
  }

  #report(epoch: number, processor: number, view: DataView, at: number): boolean {
    const health = this.health[processor];
    if (health === undefined || this.members.holder(CHECKER) !== epoch) return false;
    health.minResponseMs = view.getFloat32(at + 8, true);
    health.isFailing = view.getUint32(at + 12, true) === 1;
    health.version += 1;
    return true;
  }

  /** Rule 5. */
  #mark(epoch: number, indexedTo: number, isDurable: boolean, position: number): boolean {
    if (this.members.holder(INDEXER) !== epoch || indexedTo > position) return false;
    if (isDurable) this.durableTo = Math.max(this.durableTo, indexedTo);
    if (indexedTo <= this.indexedTo) return isDurable;
    this.marks += 1;
    this.keptFrom = this.indexedTo;
    this.indexedTo = indexedTo;
    const from = Math.min(this.keptFrom, this.heldFrom);
    this.tail.dropBefore(from);
    this.acts = this.acts.filter(act => act.position >= from);
    return true;
  }
}
