/** An instance that accepts, and what its store decides on. */
import assert from 'node:assert/strict';
import { ACCEPTED, type Acceptance, type Kept, UNAVAILABLE } from '../payments/api.ts';
import { type InstanceStand, instanceStand, type StandOptions } from './fakes.ts';

export const paymentId = (number: number): Int32Array => Int32Array.of(number, 0, 0, 7);

/** An instance that has joined, whose processors never answer. Its queue takes 8 payments. */
export async function acceptStand(
  options: StandOptions & { readonly queueCapacity?: number } = {},
): Promise<InstanceStand> {
  const { queueCapacity = 10 } = options;
  const stand = instanceStand({
    post: () => undefined,
    ...options,
    change: parts => ({ ...(options.change?.(parts) ?? parts), queueCapacity }),
  });
  const start = stand.instance.start();
  await stand.pass(50);
  await start;
  return stand;
}

/** Accepts payments of these numbers and amounts in one turn, each until the store has decided. */
export function turnOf({ instance }: InstanceStand, ...payments: readonly (readonly [number, number])[]) {
  for (const [number, cents] of payments) assert.equal(instance.accept(paymentId(number), cents), ACCEPTED);
  return instance.commit(payments.length);
}

/** What was decided on each of `count` payments. */
export const decisions = (kept: Kept, count: number): Acceptance[] =>
  Array.from({ length: count }, (_, place) =>
    typeof kept === 'function' ? kept(place) : kept ? ACCEPTED : UNAVAILABLE,
  );

/** Lets time pass until the store has replied. */
export async function decided(stand: InstanceStand, kept: Kept | Promise<Kept>, count: number) {
  await stand.pass(10);
  return decisions(await kept, count);
}

export const size = ({ instance }: InstanceStand): number => instance.session!.pool.size;

/** The numbers of the payments that the store has, of this instance's. */
export const storedNumbers = ({ state }: InstanceStand): number[] =>
  [...state.bySeq.values()].filter(({ owner }) => owner === 'backend-1').map(({ id: bytes }) => bytes[3]!);

/** Whether a promise is fulfilled by now. */
export function watch(promise: Kept | Promise<Kept>): { isDone: boolean } {
  const watched = { isDone: !(promise instanceof Promise) };
  Promise.resolve(promise).then(() => {
    watched.isDone = true;
  });
  return watched;
}
