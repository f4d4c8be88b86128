/** What a benchmark is: contenders that are measured in turns, and which of their figures to show. */
import type { Children } from '../tools/children.ts';

/** Everything measured in one round, by name. */
export type Figures = Readonly<Record<string, number>>;

export interface Round {
  /** Number of the round, from 0. */
  readonly number: number;
  readonly seconds: number;
  /** Of this round alone: gone with everything in it when the round is over. */
  readonly children: Children;
}

export interface Contender {
  readonly name: string;
  readonly run: (round: Round) => Promise<Figures>;
}

export interface Column {
  readonly figure: string;
  readonly title: string;
  /** Compared with the first contender, in each round by itself. */
  readonly ratio?: true;
}

export interface Benchmark extends AsyncDisposable {
  readonly columns: readonly Column[];
  /** The first is what the others are compared with. */
  readonly contenders: readonly Contender[];
}

/** What the command line asks for, as far as a benchmark has a choice. */
export interface Wishes {
  /** Everything as small as it can be while it still shows that it works. */
  readonly small: boolean;
  /** What takes minutes, too. */
  readonly large: boolean;
}

export interface Definition {
  readonly name: string;
  readonly about: string;
  readonly open: (wishes: Wishes) => Benchmark;
}

export function benchmark(
  columns: readonly Column[],
  contenders: readonly Contender[],
  dispose: () => Promise<void> | void = () => undefined,
): Benchmark {
  return { columns, contenders, [Symbol.asyncDispose]: async () => dispose() };
}
