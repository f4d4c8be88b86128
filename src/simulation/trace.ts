/** What happened, in words; kept only when a seed is run again to be read. */

export interface TraceLine {
  readonly atMs: number;
  /** The payment concerned; undefined: everybody. */
  readonly id: string | undefined;
  readonly who: string;
  readonly what: string;
}

export class Trace {
  readonly isOn: boolean;
  readonly #lines: TraceLine[] = [];
  readonly #now: () => number;

  constructor(isOn: boolean, now: () => number) {
    this.isOn = isOn;
    this.#now = now;
  }

  /** `what` is only called for where somebody reads. */
  say(id: string | undefined, who: string, what: () => string): void {
    if (this.isOn) this.#lines.push({ atMs: this.#now(), id, who, what: what() });
  }

  /** The last lines about one payment, and about everybody since the first of them. */
  tail(id: string | undefined, count: number): string[] {
    const lines = this.#lines.filter(line => line.id === undefined || id === undefined || line.id === id);
    return lines
      .slice(-count)
      .map(({ atMs, who, what }) => `${(atMs / 1000).toFixed(4).padStart(10)}  ${who.padEnd(14)}  ${what}`);
  }
}
