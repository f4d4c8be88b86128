/**
 * An instance's name belongs to one living process: that one listens on a channel of its own, and stops in
 * the moment in which its kernel closes its connections. The same connection hears what others change.
 */
import { randomUUID } from 'node:crypto';
import { NameTakenError } from '../ports.ts';
import { RedisConnection, type RedisConnectionParts } from './connection.ts';
import { describeRedisUrl } from './url.ts';

/** The server may not have noticed yet that a process was killed. */
const RELEASE_MS = 1500;
const AGAIN_MS = 50;
const SESSION_MS = 5000;

export interface RedisNameParts extends Pick<RedisConnectionParts, 'url' | 'clock' | 'application' | 'key'> {
  readonly instance: string;
  /** Of the deployment. */
  readonly channels: readonly string[];
  /** Whether the name is now that of this session (the function `takeName`). */
  readonly takes: (session: string) => Promise<boolean>;
  /** Another instance may have changed what is shared. */
  readonly changed: () => void;
}

export class RedisName {
  readonly #parts: RedisNameParts;
  readonly #connection: RedisConnection;
  readonly #session = randomUUID();

  constructor(parts: RedisNameParts) {
    this.#parts = parts;
    const { url, clock, application, key, channels, changed } = parts;
    this.#connection = new RedisConnection(
      {
        ...{ url, clock, application, key, onMessage: changed },
        prepare: async ask => {
          // In small letters: the client keeps count of its channels by it.
          await ask('subscribe', [...channels, `${key}:${this.#session}`]);
          changed();
        },
      },
      SESSION_MS,
    );
  }

  /** Takes the name, or finds that it is ours still. Throws `NameTakenError`, `StoreFault`. */
  async take(): Promise<void> {
    const { clock, instance, url, takes } = this.#parts;
    await this.#connection.open();
    for (let waitedMs = 0; !(await takes(this.#session)); waitedMs += AGAIN_MS) {
      if (waitedMs >= RELEASE_MS) throw new NameTakenError(instance, describeRedisUrl(url));
      await new Promise<void>(resolve => clock.after(AGAIN_MS, resolve));
    }
  }

  release(): void {
    this.#connection.close();
  }
}
