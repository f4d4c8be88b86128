/** What is done to a running stack: processes killed, paused and restarted, processors that misbehave. */
import type { Chance } from '../domain/random.ts';
import { FAULTS, type Fault } from '../processor-simulator/faults.ts';
import { signalIfThere } from '../testing/processes.ts';
import { BACKENDS, type RunningStack } from '../testing/stack.ts';

/** Longer than the lease after which the others take over, shorter than anyone's patience. */
const PAUSE_MS_MAX = 5000;
const REFUSE_MS_MAX = 2000;

export class Injuries {
  readonly counts = new Map<string, number>();
  last = 'none';
  readonly #stack: RunningStack;
  readonly #draw: Chance;
  readonly #paused = new Set<number>();
  #healed = false;

  constructor(stack: RunningStack, draw: Chance) {
    this.#stack = stack;
    this.#draw = draw;
  }

  /** Injures something every `everyMs` until `heal`. */
  async keepInjuring(everyMs: number): Promise<void> {
    while (!this.#healed) {
      await this.#injure();
      await new Promise(resolve => setTimeout(resolve, everyMs));
    }
  }

  /** Nothing is broken any more, and nothing will be. */
  async heal(): Promise<void> {
    this.#healed = true;
    for (const pid of this.#paused) this.#resume(pid);
    for (const url of this.#stack.processorUrls) {
      // A processor that takes no connections at present heals a little later.
      while (!(await this.#configure(url, 'faults', {})))
        await new Promise(resolve => setTimeout(resolve, 100));
      await this.#configure(url, 'failure', { failure: false });
      await this.#configure(url, 'delay', { delay: 0 });
    }
  }

  async #injure(): Promise<void> {
    const kinds: [string, () => unknown][] = [
      ['backend killed', () => this.#stack.signal('SIGKILL', this.#backend())],
      ['backend killed', () => this.#stack.signal('SIGKILL', this.#backend())],
      ['backend paused', () => this.#pause()],
      ['backend restarted', () => this.#stack.signal('SIGTERM', this.#backend())],
      ['all backends killed', () => this.#stack.signal('SIGKILL', 'backends')],
      ['proxy killed', () => this.#stack.signal('SIGKILL', 'proxy')],
      ['processor faults', () => this.#configure(this.#processor(), 'faults', this.#someFaults())],
      ['processor faults', () => this.#configure(this.#processor(), 'faults', this.#someFaults())],
      ['processor failing', () => this.#configure(this.#processor(), 'failure', { failure: true })],
      ['processor mended', () => this.#configure(this.#processor(), 'failure', { failure: false })],
      ['processor slow', () => this.#configure(this.#processor(), 'delay', { delay: this.#upTo(300) })],
      ['processor quick', () => this.#configure(this.#processor(), 'delay', { delay: 0 })],
      [
        'processor refusing',
        () => this.#configure(this.#processor(), 'faults', { refuseMs: this.#upTo(REFUSE_MS_MAX) }),
      ],
    ];
    const [name, act] = kinds[this.#upTo(kinds.length)]!;
    this.last = name;
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    await act();
  }

  #upTo(bound: number): number {
    return Math.floor(this.#draw() * bound);
  }

  #processor(): string {
    return this.#stack.processorUrls[this.#upTo(2)]!;
  }

  /** Three kinds of fault at once, a third of all payments together. */
  #someFaults(): Record<string, number> {
    const faults: Record<string, number> = { seed: this.#upTo(2 ** 31) };
    for (let kind = 0; kind < 3; kind++) {
      const fault: Fault = FAULTS[this.#upTo(FAULTS.length)]!;
      faults[fault] = 0.1;
      this.counts.set(`  ${fault}`, (this.counts.get(`  ${fault}`) ?? 0) + 1);
    }
    return faults;
  }

  async #configure(url: string, what: string, value: unknown): Promise<boolean> {
    return fetch(`${url}/admin/configurations/${what}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'x-rinha-token': '123' },
      body: JSON.stringify(value),
    }).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  #backend(): (typeof BACKENDS)[number] {
    return BACKENDS[this.#upTo(BACKENDS.length)]!;
  }

  #pause(): void {
    for (const pid of this.#stack.signal('SIGSTOP', this.#backend())) {
      this.#paused.add(pid);
      setTimeout(() => this.#resume(pid), this.#upTo(PAUSE_MS_MAX));
    }
  }

  #resume(pid: number): void {
    if (this.#paused.delete(pid)) signalIfThere(pid, 'SIGCONT');
  }
}
