/**
 * Chance with a seed: the same seed gives the same numbers on every machine, so what failed can be replayed.
 */

/** The next number of a sequence, at least 0 and less than 1. */
export type Chance = () => number;

/**
 * A sequence of its own for each seed. Only the seed's lower 32 bits count. A counter that steps by an odd
 * constant passes through a mixer of shifts and multiplications: no seed is a bad one, the period is 2^32.
 */
export function chance(seed: number): Chance {
  let counter = seed | 0;
  return () => {
    counter = (counter + 0x9e3779b9) | 0;
    let mixed = counter;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** A whole number from 0 to below `bound`. */
export const below = (draw: Chance, bound: number): number => Math.floor(draw() * bound);

export const pick = <Item>(draw: Chance, list: readonly Item[]): Item => list[below(draw, list.length)]!;

/** Whole numbers from 0 to below a bound, a sequence of its own for each seed. */
export function seededBelow(seed: number): (bound: number) => number {
  const draw = chance(seed);
  return bound => below(draw, bound);
}
