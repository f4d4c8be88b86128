/** Which held payments may still be unsettled once all has healed and is quiet. */
import { HELD_AMOUNT, HELD_REFUSED, type StoredPayment } from '../domain/payment.ts';
import { heldPauseMinMs } from '../domain/settlement.ts';

/**
 * Nothing but an operator ends the hold where a processor has the payment with another amount (`recorded`, in
 * cents). And one that is tried ever more seldom waits long where a clock that was turned says that it has
 * waited long already: it is tried again all the same, within the hour.
 */
export function staysHeld(
  { held, cents, retryAtMs }: StoredPayment,
  recorded: readonly number[],
  anyWallTurned: boolean,
  wallMs: number,
): boolean {
  if (held === HELD_REFUSED)
    return anyWallTurned && retryAtMs > wallMs + heldPauseMinMs && retryAtMs < Infinity;
  return held === HELD_AMOUNT && recorded.some(amount => amount !== cents);
}
