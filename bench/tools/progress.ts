/**
 * One line that says what goes on: it is rewritten on a terminal, and now and then printed where there is
 * none.
 */

/** Where lines cannot be rewritten, one every so often is enough. */
const PLAIN_LINE_MS = 10_000;

/** Where progress may be written that is not to be shown. */
export const silence: Output = { isTTY: false, columns: 0, write: () => true };

type Output = Pick<NodeJS.WriteStream, 'isTTY' | 'columns'> & { write(text: string): unknown };

export class ProgressLine {
  readonly #stream: Output;
  #shown = false;
  #lastMs = -Infinity;

  constructor(stream: Output = process.stderr) {
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
