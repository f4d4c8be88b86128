/**
 * A summary over several cells: each is asked for the same window, and what they say is added up in whole
 * cents. A cell that does not answer is named in place of a sum: without it the sum would be a wrong one.
 */
import { decimal } from '../domain/money.ts';
import { PROCESSORS, type Processor } from '../domain/payment.ts';

/** A cell that gave no summary, and why; for people. */
export class CellsMissing extends Error {
  override name = 'CellsMissing';
  constructor(whys: readonly string[]) {
    super(`no sum without all cells: ${whys.join('; ')}`);
  }
}

/** A cell refused the question; the others would as well. */
export class QuestionRefused extends Error {
  override name = 'QuestionRefused';
  readonly status: number;
  readonly contentType: string;
  constructor(status: number, contentType: string, body: string) {
    super(body);
    this.status = status;
    this.contentType = contentType;
  }
}

interface SumOfCells {
  count: number;
  cents: bigint;
}

const TIMEOUT_MS = 5000;

/**
 * `query`: what comes behind `/payments-summary`, as a client sent it. Resolves to the JSON that one cell
 * would answer. Throws `CellsMissing`, `QuestionRefused`.
 */
export async function summaryOfCells(cells: readonly string[], query: string): Promise<string> {
  const sums = { default: { count: 0, cents: 0n }, fallback: { count: 0, cents: 0n } };
  const whys: string[] = [];
  await Promise.all(
    cells.map(async cell => {
      try {
        addAnswer(sums, await ask(cell, query));
      } catch (error) {
        if (error instanceof QuestionRefused) throw error;
        whys.push(`${cell}: ${reasonIn(error)}`);
      }
    }),
  );
  if (whys.length > 0) throw new CellsMissing(whys.toSorted());
  const parts = PROCESSORS.map(
    name => `"${name}":{"totalRequests":${sums[name].count},"totalAmount":${decimal(sums[name].cents)}}`,
  );
  return `{${parts.join(',')}}`;
}

async function ask(cell: string, query: string): Promise<string> {
  const address = `${cell.replace(/\/$/, '')}/payments-summary${query}`;
  const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const text = await response.text();
  if (response.ok) return text;
  if (response.status >= 400 && response.status < 500 && response.status !== 429)
    throw new QuestionRefused(response.status, response.headers.get('content-type') ?? 'text/plain', text);
  throw new Error(`it answers ${response.status}`);
}

/** The amount is read as text: as a binary fraction a large one would not be exact. */
function addAnswer(sums: Readonly<Record<Processor, SumOfCells>>, text: string): void {
  const found = PROCESSORS.map(name => {
    const pattern = new RegExp(`"${name}":\\{"totalRequests":(\\d+),"totalAmount":(\\d+)\\.(\\d\\d)\\}`);
    const [, count, whole, cents] = pattern.exec(text) ?? [];
    if (cents === undefined) throw new Error('it answers something else than a summary');
    return { name, count: Number(count), cents: BigInt(`${whole}${cents}`) };
  });
  for (const { name, count, cents } of found) {
    sums[name].count += count;
    sums[name].cents += cents;
  }
}

function reasonIn(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const reason = cause instanceof Error && cause.message !== '' ? cause : error;
  return reason instanceof Error ? reason.message : String(reason);
}
