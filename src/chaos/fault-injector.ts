/** What is done to a running stack: processes killed, paused and restarted, processors that misbehave. */
import { below, type Chance, pick } from '../domain/random.ts';
import { AdminClient, NoAdminAnswer } from '../processor-simulator/admin-client.ts';
import { FAULTS, type Fault, type Faults } from '../processor-simulator/faults.ts';
import { signalIfThere } from '../testing/processes.ts';
import { BACKENDS, type RunningStack } from '../testing/stack.ts';
import { until } from '../testing/until.ts';

/** Longer than the lease after which the others take over, shorter than anyone's patience. */
const PAUSE_MS_MAX = 5000;
const REFUSE_MS_MAX = 2000;

type Kind = readonly [name: string, act: () => unknown];

export class Injuries {
  readonly counts = new Map<string, number>();
  last = 'none';
  readonly #stack: RunningStack;
  readonly #admins: readonly AdminClient[];
  readonly #draw: Chance;
  readonly #more: readonly Kind[];
  readonly #paused = new Set<number>();
  #healed = false;

  /** `more`: what else may be done, drawn as often as all of the rest together. */
  constructor(stack: RunningStack, draw: Chance, more: readonly Kind[] = []) {
    this.#stack = stack;
    this.#admins = stack.processorUrls.map(url => new AdminClient(url));
    this.#draw = draw;
    this.#more = more;
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
    for (const admin of this.#admins) {
      // A processor that takes no connections at present heals a little later.
      const isHealed = (): Promise<boolean> =>
        admin.set('faults', {}).then(
          () => true,
          () => false,
        );
      await until(isHealed, 'a processor to take connections');
      await admin.set('failure', { failure: false });
      await admin.set('delay', { delay: 0 });
      await admin[Symbol.asyncDispose]();
    }
  }

  async #injure(): Promise<void> {
    const kinds: readonly Kind[] = [
      ['backend killed', () => this.#stack.signal('SIGKILL', this.#backend())],
      ['backend killed', () => this.#stack.signal('SIGKILL', this.#backend())],
      ['backend paused', () => this.#pause()],
      ['backend restarted', () => this.#stack.signal('SIGTERM', this.#backend())],
      ['all backends killed', () => this.#stack.signal('SIGKILL', 'backends')],
      ['proxy killed', () => this.#stack.signal('SIGKILL', 'proxy')],
      ['processor faults', () => this.#admin().set('faults', this.#someFaults())],
      ['processor faults', () => this.#admin().set('faults', this.#someFaults())],
      ['processor failing', () => this.#admin().set('failure', { failure: true })],
      ['processor mended', () => this.#admin().set('failure', { failure: false })],
      ['processor slow', () => this.#admin().set('delay', { delay: this.#upTo(300) })],
      ['processor quick', () => this.#admin().set('delay', { delay: 0 })],
      ['processor refusing', () => this.#admin().set('faults', { refuseMs: this.#upTo(REFUSE_MS_MAX) })],
    ];
    const isMore = this.#more.length > 0 && this.#upTo(2) === 0;
    const [name, act] = pick(this.#draw, isMore ? this.#more : kinds);
    this.last = name;
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    try {
      await act();
    } catch (error) {
      // A processor may take no connections at present.
      if (!(error instanceof NoAdminAnswer)) throw error;
    }
  }

  #upTo(bound: number): number {
    return below(this.#draw, bound);
  }

  #admin(): AdminClient {
    return pick(this.#draw, this.#admins);
  }

  /** Three kinds of fault at once, a third of all payments together. */
  #someFaults(): Partial<Faults> {
    const faults: Record<string, number> = { seed: this.#upTo(2 ** 31) };
    for (let kind = 0; kind < 3; kind++) {
      const fault: Fault = pick(this.#draw, FAULTS);
      faults[fault] = 0.1;
      this.counts.set(`  ${fault}`, (this.counts.get(`  ${fault}`) ?? 0) + 1);
    }
    return faults;
  }

  #backend(): (typeof BACKENDS)[number] {
    return pick(this.#draw, BACKENDS);
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
