/** One line that says what goes on: it is rewritten on a terminal, and now and then printed where there is none. */

/** Where lines cannot be rewritten, one every so often is enough. */
const PLAIN_LINE_MS = 10_000;

export class Progress {
  readonly #stream: NodeJS.WriteStream;
  #shown = false;
  #lastMs = -Infinity;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
  }

  update(text: string): void {
    if (this.#stream.isTTY) {
      this.#stream.write(`\r\x1b[2K${text.slice(0, this.#stream.columns - 1)}`);
      this.#shown = true;
    } else if (performance.now() - this.#lastMs >= PLAIN_LINE_MS) {
      this.#lastMs = performance.now();
      this.#stream.write(`${text}\n`);
    }
  }

  /** Clears the line, so that something else may be printed. */
  clear(): void {
    if (this.#shown) this.#stream.write('\r\x1b[2K');
    this.#shown = false;
  }
}

/** 75 as `1:15`. */
export function clockText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
