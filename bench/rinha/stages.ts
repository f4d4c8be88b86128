/** The challenge's scripts, and one of steady load: who asks how much, what befalls the processors when. */
import { PROCESSORS, type Processor } from '../../src/domain/payment.ts';

export interface Stage {
  readonly atSeconds: number;
  readonly is: string;
  /** The same for a narrow place: the delays of default and fallback in ms, with a cross where one fails. */
  readonly mark: string;
  readonly failing: Readonly<Record<Processor, boolean>>;
  readonly delayMs: Readonly<Record<Processor, number>>;
}

export interface Script {
  readonly name: 'preview' | 'final' | 'steady' | 'drain';
  /** It takes this long when it is played at full length; all times in it are of that. */
  readonly seconds: number;
  /** At the end; their number grows in a straight line, until then or for `rampSeconds`. */
  readonly users: number;
  readonly rampSeconds?: number;
  /** Between an answer and the next payment of a user. */
  readonly thinkMs: number;
  readonly cents: number;
  /** Shares of the amount. */
  readonly fees: Readonly<Record<Processor, number>>;
  readonly stages: readonly Stage[];
  /** The books are compared this often, over a window of seconds before now that ends a little before it. */
  readonly auditEverySeconds: number;
  readonly window: { readonly from: number; readonly to: number };
  /** The books of the challenge are read so long after the end; what they lack by then earns nothing. */
  readonly closedAfterMs: number;
}

/** `what` the processors do from a second on; a delay is in ms, `fails` after it. */
function stage(atSeconds: number, ...[byDefault, byFallback]: [delay: Doing, delay: Doing]): Stage {
  const [first, second] = [doing(byDefault), doing(byFallback)];
  const words = PROCESSORS.map((name, at) => `${name} ${[first, second][at]!.is}`);
  return {
    atSeconds,
    is: words.join(', '),
    mark: [first, second].map(({ fails, delayMs }) => `${delayMs}${fails ? '✗' : ''}`).join(' / '),
    failing: { default: first.fails, fallback: second.fails },
    delayMs: { default: first.delayMs, fallback: second.delayMs },
  };
}

type Doing = number | readonly ['fails', number];

function doing(what: Doing): { delayMs: number; fails: boolean; is: string } {
  const [fails, delayMs] = typeof what === 'number' ? [false, what] : [true, what[1]];
  return { delayMs, fails, is: fails ? `fails (${delayMs})` : `${delayMs} ms` };
}

export const PREVIEW: Script = {
  name: 'preview',
  seconds: 60,
  users: 550,
  thinkMs: 1000,
  cents: 1990,
  fees: { default: 0.05, fallback: 0.15 },
  stages: [
    stage(1, 0, 0),
    stage(10, 100, 0),
    stage(20, ['fails', 100], 0),
    stage(30, ['fails', 2000], ['fails', 1000]),
    stage(40, 20, 20),
    stage(50, 0, 5000),
  ],
  auditEverySeconds: 10,
  window: { from: 15, to: 1.5 },
  closedAfterMs: 500,
};

export const FINAL: Script = {
  name: 'final',
  seconds: 300,
  users: 603,
  thinkMs: 1000,
  cents: 2005,
  fees: { default: 0.07, fallback: 0.1 },
  stages: [
    stage(1, 0, 0),
    stage(30, 1000, 0),
    stage(60, 500, 0),
    stage(90, ['fails', 2000], 1000),
    stage(120, ['fails', 5000], 5),
    stage(150, 0, ['fails', 5]),
    stage(180, 100, 5),
    stage(210, 50, 0),
    stage(240, 103, 10),
    stage(270, 2000, 0),
  ],
  auditEverySeconds: 10,
  window: { from: 15, to: 2 },
  closedAfterMs: 500,
};

/** 5,000 payments a second, once all users are there. */
const STEADY: Script = {
  ...PREVIEW,
  name: 'steady',
  seconds: 30,
  users: 500,
  rampSeconds: 10,
  thinkMs: 100,
  stages: [stage(1, 0, 0)],
};

/** 500 payments a second; for 20 s no processor takes any, and 10,000 wait when both are back. */
const DRAIN: Script = {
  ...PREVIEW,
  name: 'drain',
  seconds: 50,
  users: 500,
  rampSeconds: 5,
  stages: [stage(1, 0, 0), stage(15, ['fails', 0], ['fails', 0]), stage(35, 0, 0)],
};

export const CHALLENGE_SCRIPTS: Readonly<Record<Script['name'], Script>> = {
  preview: PREVIEW,
  final: FINAL,
  steady: STEADY,
  drain: DRAIN,
};
