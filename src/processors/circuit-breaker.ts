/**
 * The circuit breaker of one processor: whether asking it is worth an attempt.
 *
 *      closed ── failures in a row, or a bad report ──> open <── the probe fails, or a bad report ──┐
 *        ^                                               │                                        │
 *        │                              its pause is over, or a good report                       │
 *        │                                               v                                        │
 *        └──────────── an attempt succeeds ───────── half-open ───────────────────────────────────┘
 *
 * Runs of failures are counted instead of a rate: a processor that refuses four of ten still settles six, and
 * a run of ten is then one in ten thousand; of a processor that is down it is ten answers.
 *
 * Health reports may lie, so only a success closes. But they reach every instance, also one that has nothing
 * to send: without them its circuit would stay open long after the processor has recovered.
 *
 * Pure: time comes in as monotonic milliseconds.
 */
import assert from 'node:assert/strict';

export type Circuit = 'closed' | 'open' | 'half-open';

export interface CircuitBreakerPolicy {
  /** Failures in a row that open the circuit. */
  readonly failuresMax: number;
  /** With little traffic: this many in a row suffice if they span `failuresSpanMs`. */
  readonly failuresFew: number;
  readonly failuresSpanMs: number;
  /** The pause before a probe, doubling with each that fails. */
  readonly probeMinMs: number;
  readonly probeMaxMs: number;
}

export const CIRCUIT_BREAKER_POLICY: CircuitBreakerPolicy = {
  failuresMax: 10,
  failuresFew: 3,
  failuresSpanMs: 500,
  probeMinMs: 250,
  probeMaxMs: 1000,
};

assert(CIRCUIT_BREAKER_POLICY.failuresFew <= CIRCUIT_BREAKER_POLICY.failuresMax);
assert(CIRCUIT_BREAKER_POLICY.probeMinMs <= CIRCUIT_BREAKER_POLICY.probeMaxMs);

export class CircuitBreaker {
  readonly #policy: CircuitBreakerPolicy;
  #circuit: Circuit = 'closed';
  #failures = 0;
  #firstFailureMs = 0;
  #probesFailed = 0;
  #probing = false;
  #probeAtMs = 0;
  /** Until then the processor asked to be left alone (429, or 503 with Retry-After). */
  #heldUntilMs = 0;

  constructor(policy: CircuitBreakerPolicy = CIRCUIT_BREAKER_POLICY) {
    this.#policy = policy;
  }

  get circuit(): Circuit {
    return this.#circuit;
  }

  /** The single probe of a half-open circuit is on its way. */
  get isProbing(): boolean {
    return this.#probing;
  }

  /** When a refused `allows` is worth asking again, in monotonic ms; 0 when an event has to come first. */
  get askAgainAtMs(): number {
    if (this.#probing) return 0;
    return this.#circuit === 'open' ? Math.max(this.#probeAtMs, this.#heldUntilMs) : this.#heldUntilMs;
  }

  /** May an attempt leave now? In a half-open circuit only one at a time may. */
  allows(nowMs: number): boolean {
    if (nowMs < this.#heldUntilMs) return false;
    if (this.#circuit === 'open' && nowMs >= this.#probeAtMs) this.#circuit = 'half-open';
    return this.#circuit === 'closed' || (this.#circuit === 'half-open' && !this.#probing);
  }

  /**
   * May an attempt leave now that is not to be the probe, whatever comes of it? Not while nothing is known to
   * have changed since the processor failed.
   */
  allowsAside(nowMs: number): boolean {
    if (nowMs < this.#heldUntilMs) return false;
    return this.#circuit !== 'open' || nowMs >= this.#probeAtMs;
  }

  /** An attempt leaves. True when it is the probe of a half-open circuit: its end is reported as `probe`. */
  start(): boolean {
    if (this.#circuit !== 'half-open' || this.#probing) return false;
    this.#probing = true;
    return true;
  }

  /** The processor settled a payment. */
  succeeded(): void {
    this.#failures = 0;
    this.#close();
  }

  /** An attempt failed, or its outcome is unknown. `probe`: what `start` said of it. */
  failed(nowMs: number, probe: boolean): void {
    if (this.#failures === 0) this.#firstFailureMs = nowMs;
    this.#failures += 1;
    if (probe) {
      this.#probing = false;
      this.#probesFailed += 1;
      this.#open(nowMs);
    } else if (this.#circuit === 'closed') {
      const { failuresMax, failuresFew, failuresSpanMs } = this.#policy;
      const lasting = this.#failures >= failuresFew && nowMs - this.#firstFailureMs >= failuresSpanMs;
      if (lasting || this.#failures >= failuresMax) this.#open(nowMs);
    }
  }

  /** An attempt ended without saying anything about the processor's state, or it was never made. */
  abandoned(probe: boolean): void {
    if (probe) this.#probing = false;
  }

  /** The processor wants `retryAfterMs` of quiet: nothing leaves until then. The circuit stays as it is. */
  rests(nowMs: number, retryAfterMs: number): void {
    this.#heldUntilMs = Math.max(this.#heldUntilMs, nowMs + retryAfterMs);
  }

  /** A new report of the processor's health. */
  reported(failing: boolean, nowMs: number): void {
    if (failing && this.#circuit !== 'open') this.#open(nowMs);
    if (!failing && this.#circuit === 'open') this.#circuit = 'half-open';
  }

  #open(nowMs: number): void {
    const { probeMinMs, probeMaxMs } = this.#policy;
    this.#circuit = 'open';
    this.#probeAtMs = nowMs + Math.min(probeMinMs * 2 ** Math.min(this.#probesFailed, 10), probeMaxMs);
  }

  #close(): void {
    this.#circuit = 'closed';
    this.#probesFailed = 0;
    this.#probing = false;
  }
}
