/**
 * The ways in which a processor, or what stands between, breaks a promise.
 *
 * Each fault has a probability from 0 to 1, switchable at run time; by default nothing breaks. One payment
 * meets at most one fault of `POST_FAULTS`, so their probabilities add up to at most 1.
 */
import type { Chance } from '../domain/random.ts';

/** What can befall a `POST /payments`, one of them at a time. */
export const POST_FAULTS = [
  /** Recorded, then the connection is closed without an answer. */
  'answerLost',
  /** Closed without an answer at once, and recorded `lateMs` later: until then a look-up says 404. */
  'lateRecord',
  /** Never answered; not recorded, or recorded. */
  'hang',
  'hangRecorded',
  /** The connection is reset; not recorded, or recorded. */
  'resetBefore',
  'resetAfter',
  /** Bytes that are no HTTP; not recorded, or recorded. */
  'garbage',
  'garbageRecorded',
  /** Done as it should be, but the answer ends in the middle of its body, after a whole status line. */
  'truncated',
  /** `429` with `Retry-After`, at once; not recorded. */
  'tooMany',
  /** `503`, at once; not recorded. */
  'unavailable',
  /** `502`, `504` or `408`, as a gateway says when it lost its server; not recorded, or recorded. */
  'gateway',
  'gatewayRecorded',
  /** `503`, as a sidecar says of a request that has arrived; recorded. */
  'unavailableRecorded',
  /** `200` with a page in HTML, as something in front says that is closed for maintenance; not recorded. */
  'maintenance',
  /** `200` with JSON that names another payment; not recorded. */
  'otherAnswer',
  /** Something between sent the payment twice, and passed on the answer to the second: `422`. */
  'twice',
  /** `500`, after the delay, as if failing; not recorded. */
  'failRate',
] as const;
export type PostFault = (typeof POST_FAULTS)[number];

/** What can befall a request beside that, each independent of the others. */
export const OTHER_FAULTS = [
  /** `400` to a share of all payments, always the same ones: it refuses them as they are. */
  'refusesPayments',
  /** `500` to a share of all payments, always the same ones: they make it fail. */
  'failsPayments',
  /** `slowMs` are added to the delay of a payment. */
  'slow',
  /** An answer of `102 Processing` comes before the answer proper. */
  'informational',
  /** `GET /payments/{id}` says 404 whatever is recorded. */
  'lookupMissing',
  /** The connection is closed without an answer to `GET /payments/{id}`. */
  'lookupLost',
  /** `service-health` says `failing` when it is not, and the other way round. */
  'healthLies',
  /** The connection is closed without an answer to `service-health`. */
  'healthLost',
] as const;
export type OtherFault = (typeof OTHER_FAULTS)[number];

export type Fault = PostFault | OtherFault;
export const FAULTS: readonly Fault[] = [...POST_FAULTS, ...OTHER_FAULTS];

export interface Faults extends Readonly<Record<Fault, number>> {
  /** Milliseconds from a caller's loss to the recording under `lateRecord`. */
  readonly lateMs: number;
  /** Milliseconds added under `slow`. */
  readonly slowMs: number;
  /** For so many milliseconds from now on no connection is taken, and those that stand are reset. */
  readonly refuseMs: number;
  /** Of the sequence of chances; drawn anew from here whenever faults are configured. */
  readonly seed: number;
}

const MS_MAX = 10 * 60_000;
/** Largest allowed value of what is not a probability. */
const SETTINGS_MAX = { lateMs: MS_MAX, slowMs: MS_MAX, refuseMs: MS_MAX, seed: 2 ** 32 - 1 };

const NONE = Object.fromEntries(FAULTS.map(fault => [fault, 0])) as Record<Fault, number>;
export const NO_FAULTS: Faults = Object.freeze({ ...NONE, lateMs: 2000, slowMs: 1000, refuseMs: 0, seed: 1 });

/**
 * The faults described by an object from JSON: `{"answerLost":0.1,"hang":0.05,"seed":7}`; what is not named
 * is as in `NO_FAULTS`, so `{}` heals everything. A string says what to mend.
 */
export function readFaults(value: unknown): Faults | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'faults are a JSON object';
  const faults: Record<string, number> = { ...NO_FAULTS };
  for (const [name, wanted] of Object.entries(value)) {
    if (!Object.hasOwn(NO_FAULTS, name)) {
      return `unknown fault ${JSON.stringify(name)}; known are ${Object.keys(NO_FAULTS).join(', ')}`;
    }
    const max = SETTINGS_MAX[name as keyof typeof SETTINGS_MAX] ?? 1;
    if (typeof wanted !== 'number' || !(wanted >= 0 && wanted <= max)) {
      return `${name} must be a number from 0 to ${max}`;
    }
    faults[name] = wanted;
  }
  const sum = POST_FAULTS.reduce((so, fault) => so + faults[fault]!, 0);
  // Ten times 0.1 is a little more than 1 in binary fractions, and means 1.
  if (sum > 1 + 1e-9) return `one payment meets one fault: their probabilities add up to ${sum}, more than 1`;
  return Object.freeze(faults as unknown as Faults);
}

/** Which fault, if any, the next payment meets. Takes one number from `chance`. */
export function drawPostFault(faults: Faults, chance: Chance): PostFault | undefined {
  let rest = chance();
  for (const fault of POST_FAULTS) {
    rest -= faults[fault];
    if (rest < 0) return fault;
  }
  return undefined;
}

/** Whether any payment can meet any fault; where none can, no chance need be drawn. */
export const anyPostFault = (faults: Faults): boolean =>
  POST_FAULTS.some(fault => faults[fault] > 0) || faults.refusesPayments > 0 || faults.failsPayments > 0;
