/**
 * A payment processor as plain rules, without a socket, clock or timer of its own: behind sockets it is what
 * `npm start` runs, on a virtual clock it is what the simulation of a whole deployment runs.
 *
 *   post ─> 800 at work ──> waits the delay ─> failing? 500 ─> known? 422 ─> recorded: 200
 *            └> 500 wait for that
 *                └> 429
 *
 * A caller cannot take a payment back: what came in runs to its end whether anyone still listens or not. So
 * nothing here knows of a caller's leaving; the answer then goes to someone who throws it away.
 */
import type { Clock } from '../domain/clock.ts';
import { totalCents } from '../domain/money.ts';
import { PROCESSORS, type ProcessorIndex } from '../domain/payment.ts';
import { type Chance, chance, pick } from '../domain/random.ts';
import { Admission, HealthWindow } from './admission.ts';
import * as says from './answer.ts';
import { type AnswerCallback, answer, message, type ProcessorAnswer } from './answer.ts';
import { Book } from './book.ts';
import { anyPostFault, drawPostFault, FAULTS, type Fault, type Faults, NO_FAULTS } from './faults.ts';
import { TOKEN } from './token.ts';

/** Time and scheduling, as far as a processor needs them: it stamps nothing. */
export type ProcessorClock = Pick<Clock, 'monotonicMs' | 'after'>;

/** The official service's. */
const FEE_BASIS_POINTS = [500, 1500] as const satisfies Record<ProcessorIndex, number>;

/** Faults that a payment meets or does not, however often it is sent. */
const BY_PAYMENT = [
  ['refusesPayments', says.REFUSED_PAYMENT],
  ['failsPayments', says.FAILING],
] as const;

/** From 0 to 1, of an id: what tells those that such a fault is about. */
const shareOfId = (id: Int32Array): number => (Math.imul(id[0]! ^ id[3]!, 0x9e3779b1) >>> 0) / 2 ** 32;

/**
 * A timer due in 300.0001 ms may come at 300 ms sharp; so a window's tick aims a little behind its beginning.
 */
const TICK_MARGIN_MS = 1;

export class SimulatedProcessor {
  readonly name: (typeof PROCESSORS)[number];
  /** In hundredths of a percent of the amount: 500 is 0.05. */
  feeBasisPoints: number;
  readonly book = new Book();
  /** How often each fault befell a request since the start. */
  readonly injected: Record<Fault, number>;
  token = TOKEN;
  delayMs = 0;
  failing = false;

  readonly #clock: ProcessorClock;
  readonly #slots = new Admission();
  readonly #health: HealthWindow;
  #healthTicking = false;
  #faults: Faults = NO_FAULTS;
  #anyPostFault = false;
  #chance: Chance = chance(NO_FAULTS.seed);
  #refusesUntilMs = -Infinity;

  constructor(which: ProcessorIndex, clock: ProcessorClock) {
    this.name = PROCESSORS[which];
    this.feeBasisPoints = FEE_BASIS_POINTS[which];
    this.injected = Object.fromEntries(FAULTS.map(fault => [fault, 0])) as Record<Fault, number>;
    this.#clock = clock;
    this.#health = new HealthWindow(clock.monotonicMs());
  }

  get faults(): Faults {
    return this.#faults;
  }

  /** Takes effect for what comes in from now on; what is at work keeps the fault that it met. */
  set faults(faults: Faults) {
    this.#faults = faults;
    this.#anyPostFault = anyPostFault(faults) || faults.slow > 0 || faults.informational > 0;
    this.#chance = chance(faults.seed);
    this.#refusesUntilMs = faults.refuseMs > 0 ? this.#clock.monotonicMs() + faults.refuseMs : -Infinity;
  }

  /**
   * For how many more milliseconds connections are refused and those that stand are reset; 0 for not at all.
   */
  get refusingMs(): number {
    return Math.max(0, this.#refusesUntilMs - this.#clock.monotonicMs());
  }

  get atWork(): number {
    return this.#slots.atWork;
  }

  get waiting(): number {
    return this.#slots.waiting;
  }

  /**
   * `POST /payments`. `id` is four words, read before this returns; `cents` and `requestedAtMs` (since 1970)
   * are integers. `reply` is called once, possibly before this returns.
   */
  post(id: ArrayLike<number>, cents: number, requestedAtMs: number, reply: AnswerCallback): void {
    if (this.#anyPostFault) {
      this.#postAmidFaults(Int32Array.from(id), cents, requestedAtMs, reply);
    } else if (this.delayMs === 0 && this.#slots.atWork === 0) {
      reply(this.#settle(id, cents, requestedAtMs)); // the same as below, without making anything
    } else {
      const kept = Int32Array.from(id);
      this.#work(0, reply, () => this.#settle(kept, cents, requestedAtMs));
    }
  }

  #postAmidFaults(id: Int32Array, cents: number, requestedAtMs: number, replyPlain: AnswerCallback): void {
    const share = shareOfId(id);
    for (const [name, said] of BY_PAYMENT) {
      if (share >= this.#faults[name]) continue;
      this.injected[name] += 1;
      this.#work(0, replyPlain, () => said);
      return;
    }
    const fault = drawPostFault(this.#faults, this.#chance);
    if (fault !== undefined) this.injected[fault] += 1;
    const slowMs = this.#meets('slow') ? this.#faults.slowMs : 0;
    const reply: AnswerCallback = this.#meets('informational')
      ? said => replyPlain({ ...said, informed: true })
      : replyPlain;
    const settle = (): ProcessorAnswer => this.#settle(id, cents, requestedAtMs);
    /** Waits as any payment does, records if `does` says so, and then shows the caller something else. */
    const instead = (shown: ProcessorAnswer, does: () => unknown = () => undefined): void =>
      this.#work(slowMs, reply, () => {
        does();
        return shown;
      });

    switch (fault) {
      case undefined:
        this.#work(slowMs, reply, settle);
        break;
      case 'answerLost':
        instead(says.HUNG_UP, settle);
        break;
      case 'lateRecord':
        this.#clock.after(this.#faults.lateMs, settle);
        reply(says.HUNG_UP);
        break;
      case 'hang':
        reply(says.NEVER);
        break;
      case 'hangRecorded':
        instead(says.NEVER, settle);
        break;
      case 'resetBefore':
        reply(says.RESET);
        break;
      case 'resetAfter':
        instead(says.RESET, settle);
        break;
      case 'garbage':
        instead(says.GARBAGE);
        break;
      case 'garbageRecorded':
        instead(says.GARBAGE, settle);
        break;
      case 'truncated':
        this.#work(slowMs, reply, () => ({ ...settle(), delivery: 'cut' }));
        break;
      case 'tooMany':
        reply(says.OVERLOADED);
        break;
      case 'unavailable':
        reply(says.SERVICE_UNAVAILABLE);
        break;
      case 'gateway':
        instead(this.#gatewayAnswer());
        break;
      case 'gatewayRecorded':
        instead(this.#gatewayAnswer(), settle);
        break;
      case 'unavailableRecorded':
        instead(says.SERVICE_UNAVAILABLE, settle);
        break;
      case 'maintenance':
        instead(says.MAINTENANCE);
        break;
      case 'otherAnswer':
        instead(says.OTHER_PAYMENT);
        break;
      case 'twice':
        this.#work(slowMs, reply, () => {
          settle();
          return settle();
        });
        break;
      case 'failRate':
        instead(says.FAILING);
        break;
    }
  }

  /**
   * Holds a slot for the delay and `extraMs`, then replies what `ends` returns; 429 where there is no slot.
   */
  #work(extraMs: number, reply: AnswerCallback, ends: () => ProcessorAnswer): void {
    const entered = this.#slots.enter(() => {
      const waitMs = this.delayMs + extraMs;
      const end = (): void => {
        const said = ends();
        this.#slots.leave();
        reply(said);
      };
      if (waitMs === 0) end();
      else this.#clock.after(waitMs, end);
    });
    if (!entered) reply(says.OVERLOADED);
  }

  #settle(id: ArrayLike<number>, cents: number, requestedAtMs: number): ProcessorAnswer {
    if (this.failing) return says.FAILING;
    return this.book.record(id, cents, requestedAtMs) ? says.PROCESSED : says.ALREADY_PROCESSED;
  }

  #gatewayAnswer(): ProcessorAnswer {
    const [status, text] = pick(this.#chance, GATEWAY);
    return message(status, text);
  }

  /** `GET /payments/{id}`, of four words; it takes a slot, but none of the delay. */
  lookUp(id: ArrayLike<number>, reply: AnswerCallback): void {
    const kept = Int32Array.from(id);
    const entered = this.#slots.enter(() => {
      const said = this.#meets('lookupLost') ? says.HUNG_UP : this.#found(kept);
      this.#slots.leave();
      reply(said);
    });
    if (!entered) reply(says.OVERLOADED);
  }

  #found(id: ArrayLike<number>): ProcessorAnswer {
    const row = this.#meets('lookupMissing') ? -1 : this.book.find(id);
    if (row < 0) return says.NOT_FOUND;
    const { correlationId, cents, requestedAtMs } = this.book.entry(row);
    const requestedAt = new Date(requestedAtMs).toISOString().slice(0, -1);
    return answer(200, paymentJson(correlationId, cents, requestedAt));
  }

  /** `GET /payments/service-health`. */
  health(reply: AnswerCallback): void {
    const nowMs = this.#clock.monotonicMs();
    const turn = this.#health.ask(nowMs, () => reply(this.#healthAnswer()));
    if (turn === 'now') reply(this.#healthAnswer());
    else if (turn === 'later') this.#tickHealth();
    else reply(message(429, 'ask once in five seconds', Math.ceil(turn / 1000)));
  }

  #healthAnswer(): ProcessorAnswer {
    if (this.#meets('healthLost')) return says.HUNG_UP;
    const failing = this.#meets('healthLies') ? !this.failing : this.failing;
    return answer(200, JSON.stringify({ failing, minResponseTime: this.delayMs }));
  }

  #tickHealth(): void {
    if (this.#healthTicking) return;
    this.#healthTicking = true;
    this.#clock.after(this.#health.untilNextMs(this.#clock.monotonicMs()) + TICK_MARGIN_MS, () => {
      this.#healthTicking = false;
      if (this.#health.tick(this.#clock.monotonicMs())) this.#tickHealth();
    });
  }

  /** The answer to `GET /admin/payments-summary`; bounds in milliseconds since 1970, both inclusive. */
  summary(fromMs: number, toMs: number): ProcessorAnswer {
    const total = this.book.total(fromMs, toMs);
    const cents = totalCents(total);
    const fee = scaled(cents * BigInt(this.feeBasisPoints), 6);
    const perTransaction = scaled(BigInt(this.feeBasisPoints), 4);
    return answer(
      200,
      `{"totalRequests":${total.count},"totalAmount":${scaled(cents, 2)},"totalFee":${fee},"feePerTransaction":${perTransaction}}`,
    );
  }

  #meets(fault: Fault): boolean {
    const probability = this.#faults[fault];
    if (probability === 0 || this.#chance() >= probability) return false;
    this.injected[fault] += 1;
    return true;
  }
}

const GATEWAY = [
  [502, 'bad gateway'],
  [504, 'gateway time-out'],
  [408, 'request time-out'],
] as const;

/** A payment as the processor writes it. */
export const paymentJson = (correlationId: string, cents: number, requestedAt: string): string =>
  `{"correlationId":"${correlationId}","amount":${scaled(BigInt(cents), 2)},"requestedAt":"${requestedAt}"}`;

/**
 * `value / 10^places` as a JSON number with at least two digits after the point and no needless zeros behind.
 */
function scaled(value: bigint, places: number): string {
  const digits = value.toString().padStart(places + 1, '0');
  const fraction = digits.slice(-places).replace(/0+$/, '').padEnd(2, '0');
  return `${digits.slice(0, -places)}.${fraction}`;
}
