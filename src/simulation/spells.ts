/** Faults that last: from when to when, and how likely each strikes meanwhile. */

interface Spell {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly probability: number;
}

export class Spells {
  readonly #nowMs: () => number;
  readonly #spells = new Map<string, Spell>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** One that is there already goes on. */
  begin(name: string, durationMs: number, probability: number): void {
    const nowMs = this.#nowMs();
    const sinceMs = this.at(name)?.sinceMs ?? nowMs;
    this.#spells.set(name, { sinceMs, untilMs: nowMs + durationMs, probability });
  }

  /** The one of this name that is there now. */
  at(name: string): Spell | undefined {
    const spell = this.#spells.get(name);
    return spell !== undefined && spell.untilMs > this.#nowMs() ? spell : undefined;
  }

  endAll(): void {
    this.#spells.clear();
  }
}
