/**
 * `npm run fuzz`: spoils requests and JSON texts and looks for one that is read in two ways.
 *
 * An input that reaches a new pair of parser state and byte joins those that are spoiled further. Every input
 * is read whole and cut at random, by our connection and by Node's server. A disagreement is a fault unless
 * the tables of `oracles.ts` give its reason. The seed replays a run.
 */
import { below, type Chance, chance, pick } from '../domain/random.ts';
import { option, readCommandLine } from '../settings/command-line.ts';
import { decimalNumber, wholeNumber } from '../settings/grammar.ts';
import { exampleInputs, JSON_INPUTS, mutate } from './inputs.ts';
import { compare, compareJson, featuresOf, mismatchOf, NodeReader, REASONS, readOurs } from './oracles.ts';

export interface FuzzOptions {
  readonly seed: number;
  /** Whether to go on after so many inputs. */
  readonly goesOn: (inputs: number) => boolean;
}

export interface FuzzReport {
  readonly inputs: number;
  readonly features: number;
  /** Disagreements that a table has, by name: how often. */
  readonly known: ReadonlyMap<string, number>;
  /** Faults, each with the input that shows it. */
  readonly faults: readonly string[];
}

const FAULTS_MAX = 10;

/** Runs until `goesOn` says no or ten faults are found. */
export async function fuzz({ seed, goesOn }: FuzzOptions): Promise<FuzzReport> {
  const draw = chance(seed);
  const node = new NodeReader();
  const requests = exampleInputs();
  const texts = [...JSON_INPUTS];
  const features = new Set<number>();
  const known = new Map<string, number>();
  const faults: string[] = [];
  const mutant = (inputs: readonly Buffer[], isJson: boolean): Buffer =>
    mutate(pick(draw, inputs), pick(draw, inputs), draw, isJson);
  const note = (what: string, isKnown: boolean, input: Buffer) => {
    if (isKnown) known.set(what, (known.get(what) ?? 0) + 1);
    else faults.push(`${what}\n    ${JSON.stringify(input.toString('latin1'))}`);
  };
  for (const input of requests) featuresOf(input, feature => features.add(feature));

  let inputs = 0;
  while (faults.length < FAULTS_MAX && goesOn(inputs)) {
    const input = inputs < requests.length ? requests[inputs]! : mutant(requests, false);
    inputs++;
    const before = features.size;
    featuresOf(input, feature => features.add(feature));
    if (features.size > before) requests.push(input);

    const ours = readOurs([input]);
    const fault = mismatchOf(ours);
    if (fault !== undefined) note(fault, false, input);
    const again = readOurs(cut(input, draw));
    if (ours.output !== again.output || ours.requests.join() !== again.requests.join()) {
      note('cut otherwise, read otherwise', false, input);
    }
    const difference = compare(ours, await node.read(Buffer.from(input)));
    if (difference !== undefined) note(difference.what, difference.isKnown, input);

    const text = mutant(texts, true);
    const jsonDifference = compareJson(text);
    if (jsonDifference !== undefined) note(jsonDifference.what, jsonDifference.isKnown, text);
    if (texts.length < 500 && draw() < 0.01) texts.push(text);
  }
  return { inputs, features: features.size, known, faults };
}

/** `input` in pieces: two to five, or single bytes. */
function cut(input: Buffer, draw: Chance): Buffer[] {
  if (draw() < 0.2) return Array.from(input, (_, at) => input.subarray(at, at + 1));
  const places = Array.from({ length: 1 + below(draw, 4) }, () => below(draw, input.length));
  const sorted = [0, ...places.toSorted((a, b) => a - b), input.length];
  return sorted.slice(1).map((end, at) => input.subarray(sorted[at], end));
}

async function main(): Promise<void> {
  const { values } = readCommandLine({
    name: 'fuzz',
    command: 'npm run fuzz --',
    about: 'Spoils requests and JSON texts and looks for one that is read in two ways.',
    options: {
      seconds: option('how long', 'N', decimalNumber(0.1, 1_000_000), 30),
      seed: option(
        'replays the run that said it (one from the clock)',
        'N',
        wholeNumber(0, 2 ** 32 - 1),
        undefined,
      ),
    },
  });
  const { seconds, seed = Date.now() % 2 ** 31 } = values;
  console.log(`fuzzing for ${seconds} s with --seed ${seed}`);
  const end = Date.now() + seconds * 1000;
  const report = await fuzz({ seed, goesOn: () => Date.now() < end });
  console.log(
    `${report.inputs} requests and as many JSON texts, ${report.features} pairs of state and byte reached`,
  );
  for (const [what, reason] of Object.entries(REASONS)) {
    console.log(`${(report.known.get(what) ?? 0).toString().padStart(8)}  ${what} (${reason})`);
  }
  for (const fault of report.faults) console.error(`FAULT: ${fault}`);
  if (report.faults.length > 0) process.exitCode = 1;
}

if (import.meta.main) await main();
