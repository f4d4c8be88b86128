/** One seed's chance, in the forms in which the world asks for it. */
import { below, type Chance, chance, pick } from '../domain/random.ts';

export class Dice {
  readonly roll: Chance;

  constructor(seed: number) {
    this.roll = chance(seed);
  }

  /** Dice of their own, so that one part's rolls do not depend on how often another rolls. */
  fork(): Dice {
    return new Dice(below(this.roll, 2 ** 32));
  }

  /** True with a probability of `p`; rolls nothing where that is 0. */
  hits(p: number): boolean {
    return p > 0 && this.roll() < p;
  }

  /** At least `min`, less than `max`. */
  between(min: number, max: number): number {
    return min + this.roll() * (max - min);
  }

  /** A whole number, both ends included. */
  whole(min: number, max: number): number {
    return min + below(this.roll, max - min + 1);
  }

  pick<T>(list: readonly T[]): T {
    return pick(this.roll, list);
  }
}
