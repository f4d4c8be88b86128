/** Keeps the last results of each benchmark in one file, with what they were measured on, and draws them. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type KeptReport, page } from '../report/page.ts';
import type { Durations } from './forecast.ts';

const folder = fileURLToPath(new URL('../results/', import.meta.url));
const latestFile = `${folder}latest.json`;
const durationsFile = `${folder}durations.json`;
export const reportFile = `${folder}report.html`;

export function keep(name: string, measured: Readonly<Record<string, unknown>>): void {
  const before = read<Record<string, KeptReport>>(latestFile);
  const kept = { ...before, [name]: { at: new Date().toISOString(), machine: machine(), ...measured } };
  write(latestFile, `${JSON.stringify(kept, undefined, 1)}\n`);
  write(reportFile, page(kept));
}

/** How long each contender took on this machine: the next forecast is better for it. */
export function keepDurations(name: string, durations: Durations[string]): void {
  write(durationsFile, `${JSON.stringify({ ...readDurations(), [name]: durations }, undefined, 1)}\n`);
}

export const readDurations = (): Durations => read<Durations>(durationsFile);

/** What a file holds; nothing where it is not there or cannot be read. */
function read<Value extends object>(file: string): Value {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Value;
  } catch {
    return {} as Value;
  }
}

/** Whole or not at all, should someone end this now. */
function write(file: string, text: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${file}.tmp`, text);
  renameSync(`${file}.tmp`, file);
}

const machine = (): KeptReport['machine'] => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  memoryMiB: Math.round(totalmem() / 2 ** 20),
  node: process.version,
});
