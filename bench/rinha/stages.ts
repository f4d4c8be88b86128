/** The script of the challenge: who loads how much, and what befalls the processors when. */
import type { Processor } from '../../src/domain/payment.ts';

export interface Stage {
  readonly atSeconds: number;
  readonly is: string;
  readonly failing: Readonly<Record<Processor, boolean>>;
  readonly delayMs: Readonly<Record<Processor, number>>;
}

/** The scenario takes this long when it is played at full length; the times below are of that. */
export const FULL_SECONDS = 60;
export const USERS = 550;
export const PAYMENT_CENTS = 1990;
export const THINK_MS = 1000;

const both = <Value>(value: Value) => ({ default: value, fallback: value });

export const STAGES: readonly Stage[] = [
  { atSeconds: 1, is: 'both fine', failing: both(false), delayMs: both(0) },
  {
    atSeconds: 10,
    is: 'default slow (100 ms)',
    failing: both(false),
    delayMs: { default: 100, fallback: 0 },
  },
  {
    atSeconds: 20,
    is: 'default fails (100 ms)',
    failing: { default: true, fallback: false },
    delayMs: { default: 100, fallback: 0 },
  },
  {
    atSeconds: 30,
    is: 'both fail (2000, 1000 ms)',
    failing: both(true),
    delayMs: { default: 2000, fallback: 1000 },
  },
  { atSeconds: 40, is: 'both fine (20 ms)', failing: both(false), delayMs: both(20) },
  {
    atSeconds: 50,
    is: 'default fine, fallback slow (5000 ms)',
    failing: both(false),
    delayMs: { default: 0, fallback: 5000 },
  },
];

/** The summaries are compared this often, over a window that ends a little before now. */
export const AUDIT_EVERY_SECONDS = 10;
export const WINDOW_SECONDS = { from: 15, to: 1.5 } as const;
