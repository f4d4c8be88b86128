/**
 * Virtual time: a heap of events, one clock for all. Nothing happens between two events, so the same events
 * in the same order give the same run, however long it takes outside.
 *
 * An event may belong to a process: it then waits while that is stopped (SIGSTOP) and is gone once it is
 * dead.
 */
import { Heap } from 'mnemonist';
import type { Clock, Timer } from '../domain/clock.ts';

/** What can be stopped and killed. */
export class Process {
  readonly name: string;
  /** Distinguishes the processes of one instance in traces. */
  readonly life: number;
  alive = true;
  stopped = false;
  /** It is in the middle of an event, and others go on meanwhile. */
  isPreempted = false;
  /** It ended a session at least once, and joined anew. */
  rejoined = false;
  /** When it began to join last. */
  joiningAtMs = 0;
  /** Its instance is between two sessions. */
  isJoining = false;
  /** Promises that only its own events can fulfil. */
  promises = 0;
  /** What came due while it could not go on, in the order in which it came due. */
  held: Event[] = [];

  readonly startedMs: number;

  constructor(name: string, life: number, startedMs: number) {
    this.startedMs = startedMs;
    this.name = name;
    this.life = life;
  }
}

/** The name of a process in traces. */
export const processLabel = (process: Process): string => `${process.name}/${process.life}`;

interface Event extends Timer {
  atMs: number;
  /** Of two events at the same instant the one that was made first goes first. */
  order: number;
  readonly process: Process | undefined;
  task: (() => void) | undefined;
}

export class EventLoop {
  nowMs = 0;
  /** Events carried out so far. */
  count = 0;
  /** Whose event the last one was. */
  active: Process | undefined;
  readonly #due = new Heap<Event>((one, other) => one.atMs - other.atMs || one.order - other.order);
  #order = 0;

  /** Calls `task` in `delayMs`, unless `process` is dead by then; later if it is stopped. */
  after(delayMs: number, process: Process | undefined, task: () => void): Timer {
    const event: Event = {
      atMs: this.nowMs + delayMs,
      order: this.#order++,
      process,
      task,
      cancel() {
        this.task = undefined;
      },
    };
    this.#due.push(event);
    return event;
  }

  /** Carries out the next event; false: there is none up to `untilMs`, and it is that late now. */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#due.peek();
      if (next === undefined || next.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return false;
      }
      this.#due.pop();
      const { process, task } = next;
      if (task === undefined || process?.alive === false) continue;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      if (process?.stopped === true || process?.isPreempted === true) {
        process.held.push(next);
        continue;
      }
      this.count += 1;
      this.active = process;
      task();
      return true;
    }
  }

  /** Lets a stopped process go on: what came due meanwhile happens now. */
  resume(process: Process): void {
    process.stopped = false;
    this.release(process);
  }

  /** What came due meanwhile happens now, unless it still has to wait. */
  release(process: Process): void {
    for (const event of process.held) {
      event.atMs = this.nowMs;
      event.order = this.#order++;
      this.#due.push(event);
    }
    process.held = [];
  }
}

/** Where the wall clock of the virtual world begins: 2026-07-10T12:00:00Z. */
export const WALL_START_MS = 1_783_684_800_000;

/** One machine's wall clock, which may be turned; the monotonic one is everybody's virtual time. */
export interface WallClock {
  offsetMs: number;
}

/** The clock that a process sees. */
export class ProcessClock implements Clock {
  readonly #eventLoop: EventLoop;
  readonly #process: Process;
  readonly #wall: WallClock;

  constructor(eventLoop: EventLoop, process: Process, wall: WallClock) {
    this.#eventLoop = eventLoop;
    this.#process = process;
    this.#wall = wall;
  }

  monotonicMs(): number {
    return this.#eventLoop.nowMs;
  }

  wallMs(): number {
    return Math.floor(WALL_START_MS + this.#eventLoop.nowMs + this.#wall.offsetMs);
  }

  after(delayMs: number, task: () => void): Timer {
    // As the real one: whole milliseconds, never none.
    return this.#eventLoop.after(Math.max(1, Math.ceil(delayMs)), this.#process, task);
  }

  soon(task: () => void): void {
    this.#eventLoop.after(0, this.#process, task);
  }
}
