/** The last minutes of all instances, second by second: a dashboard that is opened now shows them at once. */
import { addPacked, MOMENTS_MS, quantileMs, WHILES_MS } from './histogram.ts';
import type { InstanceSeen, InstanceSnapshot, Sample } from './snapshot.ts';

/** Five minutes. */
const SAMPLES_MAX = 300;
/** Figures older than this do not count for the present. */
const STALE_MS = 3000;

interface Known {
  readonly figures: InstanceSnapshot;
  readonly rates: Rates;
}

interface Rates {
  accepted: number;
  settled: [number, number];
}

const NO_RATES: Rates = { accepted: 0, settled: [0, 0] };

export class TimeSeries {
  #samples: Sample[] = [];
  readonly #known = new Map<string, Known>();

  /** Samples later than `sinceMs`, oldest first. */
  since(sinceMs: number): readonly Sample[] {
    return this.#samples.filter(({ atMs }) => atMs > sinceMs);
  }

  /** Adds a sample of this moment. To be called about once a second. */
  sample(seen: readonly InstanceSeen[], nowMs: number): void {
    const isFirst = this.#known.size === 0;
    const answers = new Float64Array(MOMENTS_MS.length + 1);
    const settling = new Float64Array(WHILES_MS.length + 1);
    const sum = { accepted: 0, default: 0, fallback: 0, waiting: 0, pinned: 0 };
    for (const { name, alive, figures, unsettled } of seen) {
      sum.waiting += unsettled;
      if (!alive || figures === undefined || nowMs - figures.atMs > STALE_MS) continue;
      const { accepted, settled } = this.#advance(name, figures, answers, settling);
      sum.accepted += accepted;
      sum.default += settled[0];
      sum.fallback += settled[1];
      sum.pinned += figures.queue.pinned;
    }
    // A rate needs two samples.
    if (isFirst) return;
    this.#samples.push({
      atMs: nowMs,
      accepted: rounded(sum.accepted),
      default: rounded(sum.default),
      fallback: rounded(sum.fallback),
      waiting: sum.waiting,
      pinned: sum.pinned,
      answerMs: [0.5, 0.99].map(share => rounded(quantileMs(MOMENTS_MS, answers, share))),
      settleMs: [0.5, 0.99].map(share => rounded(quantileMs(WHILES_MS, settling, share))),
    });
    if (this.#samples.length > SAMPLES_MAX) this.#samples = this.#samples.slice(-SAMPLES_MAX);
  }

  /** What an instance did since its last figures, per second; adds its durations to the counts. */
  #advance(name: string, figures: InstanceSnapshot, answers: Float64Array, settling: Float64Array): Rates {
    const known = this.#known.get(name);
    const earlier = known?.figures;
    if (earlier !== undefined && earlier.atMs === figures.atMs) return known!.rates;
    const isSameLife = earlier?.runtime.startSeconds === figures.runtime.startSeconds;
    if (!isSameLife) {
      // Its counters say nothing about when it did what they count.
      this.#known.set(name, { figures, rates: NO_RATES });
      return NO_RATES;
    }
    const seconds = Math.max(0.05, (figures.atMs - earlier!.atMs) / 1000);
    const rates: Rates = {
      accepted: (figures.accepted - earlier!.accepted) / seconds,
      settled: [
        (figures.settled[0] - earlier!.settled[0]) / seconds,
        (figures.settled[1] - earlier!.settled[1]) / seconds,
      ],
    };
    addPayments(answers, figures, 1);
    addPayments(answers, earlier!, -1);
    addPacked(settling, figures.settling, 1);
    addPacked(settling, earlier!.settling, -1);
    this.#known.set(name, { figures, rates });
    return rates;
  }
}

/** The durations of the answers to new payments, whatever their status. */
function addPayments(counts: Float64Array, { answers }: InstanceSnapshot, times: 1 | -1): void {
  for (const [method, route, , took] of answers) {
    if (method === 'POST' && route === '/payments') addPacked(counts, took, times);
  }
}

function rounded(value: number): number;
function rounded(value: number | undefined): number | null;
function rounded(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value * 100) / 100;
}
