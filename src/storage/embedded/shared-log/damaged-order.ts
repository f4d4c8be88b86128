/**
 * What the whole batches behind a damaged part of the log prove about what stood in it.
 *
 * What is missing may have been a join, a fence, a purge: read as if it had never been there, it would number
 * later epochs otherwise, and what others were told about whole batches would not be so any more. So until
 * the next BOOT, which ends everybody and makes uncertain what is unsettled, each batch is believed:
 *
 *     an epoch that does not live        it lived when its batch was written: its join is missing, or the
 *                                        record that ended it did not count
 *     an epoch of another instance       joins are missing, so later ones were given too low a number
 *     a later generation                 a purge is missing
 *     more index marks                   marks are missing
 *     a payment of another owner         an adoption is missing, or the acceptance
 *
 * A batch that did not count in its time may count so: the last one of an instance that was fenced meanwhile.
 * It was answered to nobody, but its records are true: what it accepts is settled once, as it is uncertain.
 */
import type { BatchView } from './decoder.ts';
import type { OrderedMembers } from './ordered-members.ts';

/** What of an order such a batch changes. */
interface DoubtfulOrder {
  readonly generation: number;
  marks: number;
  readonly members: OrderedMembers;
  purge(generation: number, position: number): void;
}

/** Before the batch at `position` is judged. */
export function believe(order: DoubtfulOrder, batch: BatchView, position: number): void {
  const { epoch, instance, generation, marksSeen } = batch;
  if (generation > order.generation) order.purge(generation, position);
  order.marks = Math.max(order.marks, marksSeen);
  if (epoch !== 0) order.members.believe(epoch, instance, order.generation);
}
