/** A store on a server, that is injured beside the stack. */
export interface InjuredStore extends AsyncDisposable {
  /** For people. */
  readonly title: string;
  /** `STORE_URL`. */
  readonly url: string;
  /** Of `Injuries`. */
  readonly injuries: [string, () => unknown][];
  /** Nothing is broken any more, and nothing will be. */
  heal(): Promise<void>;
}
