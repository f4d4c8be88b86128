/** What the circuits of all instances say together of one processor. */
import type { ProcessorState } from '../api.ts';

export type CircuitOfAll = 'unknown' | 'closed' | 'half-open' | 'partly open' | 'open';

type Circuits = Pick<ProcessorState, 'circuits' | 'failing'>;

/**
 * Those instances decide that know something:
 *
 *   closed                    its attempts succeed, or nothing speaks against the processor
 *   open, or probing          its attempts fail, and none has succeeded since
 *   half-open, not probing    the last health report was good, and nothing was sent since: unproven here
 *
 * With both of the first two the circuit is partly open; with one of them, the others follow it. Where no
 * instance knows anything, the last health report decides.
 */
export function circuitOfAll({ circuits, failing }: Circuits): CircuitOfAll {
  if (circuits.length === 0) return 'unknown';
  const isClosed = circuits.some(({ circuit }) => circuit === 'closed');
  const isOpen = circuits.some(attemptsFail);
  if (isClosed) return isOpen ? 'partly open' : 'closed';
  return isOpen || failing ? 'open' : 'half-open';
}

/** Attempts of this instance fail, as far as it knows. */
export const attemptsFail = ({ circuit, probing }: ProcessorState['circuits'][number]): boolean =>
  circuit === 'open' || probing;

/** No instance settles payments there now. */
export const isDown = (processor: Circuits): boolean => circuitOfAll(processor) === 'open';
