/** How long the benchmarks still take, by how long each contender's last run took. */

/** What starting and stopping takes besides measuring, until we know better. */
const OVERHEAD_SECONDS_GUESS = 4;

/** How long a run of each contender took at a time, in seconds, by benchmark and contender. */
export type Durations = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface Run {
  readonly benchmark: string;
  readonly contender: string;
  /** For which it measures. */
  readonly seconds: number;
}

export class Forecast {
  readonly #left: Run[];
  readonly #took = new Map<string, number>();
  #startedAt = 0;
  #atWork: Run | undefined;

  /** What lies ahead, in order. */
  constructor(runs: readonly Run[], durations: Durations = {}) {
    this.#left = [...runs];
    for (const [benchmark, contenders] of Object.entries(durations)) {
      for (const [contender, seconds] of Object.entries(contenders)) {
        this.#took.set(nameOf({ benchmark, contender }), seconds);
      }
    }
  }

  /** The next run of this contender begins now, at `nowMs`; one that was not foreseen takes no time. */
  begin(benchmark: string, contender: string, nowMs: number): void {
    const at = this.#left.findIndex(run => run.benchmark === benchmark && run.contender === contender);
    this.#atWork = at < 0 ? undefined : this.#left.splice(at, 1)[0];
    this.#startedAt = nowMs;
  }

  end(nowMs: number): void {
    if (this.#atWork === undefined) return;
    this.#took.set(nameOf(this.#atWork), (nowMs - this.#startedAt) / 1000);
    this.#atWork = undefined;
  }

  /** Drops what was left of a benchmark that failed. */
  drop(benchmark: string): void {
    this.#atWork = undefined;
    for (let at = this.#left.length - 1; at >= 0; at--) {
      if (this.#left[at]!.benchmark === benchmark) this.#left.splice(at, 1);
    }
  }

  /** Seconds from `nowMs` to the end of one benchmark, or of all. */
  left(nowMs: number, benchmark?: string): number {
    const ahead = this.#left.filter(run => benchmark === undefined || run.benchmark === benchmark);
    const atWork =
      this.#atWork === undefined
        ? 0
        : Math.max(0, this.#expected(this.#atWork) - (nowMs - this.#startedAt) / 1000);
    return ahead.reduce((sum, run) => sum + this.#expected(run), atWork);
  }

  /** How long each contender of a benchmark took last, for the next forecast. */
  durationsOf(benchmark: string, contenders: readonly string[]): Record<string, number> {
    return Object.fromEntries(
      contenders.flatMap(contender => {
        const seconds = this.#took.get(nameOf({ benchmark, contender }));
        return seconds === undefined ? [] : [[contender, seconds]];
      }),
    );
  }

  #expected(run: Run): number {
    return this.#took.get(nameOf(run)) ?? run.seconds + OVERHEAD_SECONDS_GUESS;
  }
}

const nameOf = ({ benchmark, contender }: Pick<Run, 'benchmark' | 'contender'>): string =>
  `${benchmark}\n${contender}`;
