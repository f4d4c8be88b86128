/** What a benchmark is: contenders that are measured in turns, and which of their figures to show. */

import type { ChildProcesses } from '../../src/testing/processes.ts';
import type { Picture } from '../report/picture.ts';

/** Everything measured in one round, by name. */
export interface Measurements {
  readonly [figure: string]: number;
  /**
   * How much was done while it was measured, such as payments, and checked: counted by the store, the
   * processors or the books, where these are there, and not by the side that sent them.
   */
  readonly work: number;
}

export interface Measured {
  readonly median: number;
  readonly spread: number;
  /** Median of the rounds' ratios to the first contender. */
  readonly ratio: number;
  readonly values: readonly number[];
}

/** By contender, then by figure. */
export type Results = Readonly<Record<string, Readonly<Record<string, Measured>>>>;

export interface Round {
  /** Number of the round, from 0. */
  readonly number: number;
  readonly seconds: number;
  /** Of this round alone: gone with everything in it when the round is over. */
  readonly children: ChildProcesses;
  /** Says what goes on besides measuring, for whoever waits. */
  readonly tell: (what: string) => void;
}

export interface Contender {
  readonly name: string;
  readonly run: (round: Round) => Promise<Measurements>;
  /** Its figures come from the first contender's run. */
  readonly isRunWithFirst?: true;
}

export interface Column {
  readonly figure: string;
  readonly title: string;
  /** Compared with the first contender, in each round by itself. */
  readonly ratio?: true;
  /** There may be none of it in a short run. */
  readonly mayBeZero?: true;
  /** Drawn as bars in the report; the first column is in any case. */
  readonly bars?: true;
}

export interface Benchmark extends AsyncDisposable {
  readonly columns: readonly Column[];
  /** The first is what the others are compared with. */
  readonly contenders: readonly Contender[];
  /** What is not measured here, and why. */
  readonly notes?: readonly string[];
  /** What the report draws besides its bars. */
  readonly pictures?: (results: Results) => readonly Picture[];
}

/** What the command line asks for, as far as a benchmark has a choice. */
export interface Wishes {
  /** Everything as small as it can be while it still shows that it works. */
  readonly small: boolean;
  /** What takes minutes to prepare, too. */
  readonly large: boolean;
  /** What takes minutes to show, too. */
  readonly long: boolean;
  /** A folder for what takes minutes to prepare: found there, it is not prepared again. */
  readonly keep?: string | undefined;
}

export interface Definition {
  readonly name: string;
  readonly about: string;
  readonly open: (wishes: Wishes) => Benchmark;
  /**
   * The rounds and seconds that it takes whatever the command line says: of what is not a matter of rounds.
   */
  readonly size?: (wishes: Wishes) => { readonly rounds: number; readonly seconds: number };
}

export function benchmark(
  columns: readonly Column[],
  contenders: readonly Contender[],
  more: Pick<Benchmark, 'notes' | 'pictures'> & { dispose?: () => Promise<void> | void } = {},
): Benchmark {
  const { dispose, ...rest } = more;
  return { columns, contenders, ...rest, [Symbol.asyncDispose]: async () => dispose?.() };
}

/**
 * Contenders whose figures come from one and the same run in each round, such as the processes of one stack.
 */
export function together<Name extends string>(
  names: readonly Name[],
  run: (round: Round) => Promise<Readonly<Record<Name, Measurements>>>,
): Contender[] {
  const runs = new Map<number, Promise<Readonly<Record<Name, Measurements>>>>();
  return names.map((name, at) => ({
    name,
    ...(at === 0 ? {} : { isRunWithFirst: true as const }),
    run: async round => {
      const running = runs.get(round.number) ?? run(round);
      runs.set(round.number, running);
      return (await running)[name];
    },
  }));
}
