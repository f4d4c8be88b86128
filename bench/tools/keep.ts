/** Keeps the last results of each benchmark in one file, with what they were measured on, and draws them. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { page } from '../report/page.ts';

const folder = fileURLToPath(new URL('../results/', import.meta.url));
export const latestFile = `${folder}latest.json`;

export interface Kept {
  readonly at: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly [what: string]: unknown;
}

export function readKept(): Record<string, Kept> {
  try {
    return JSON.parse(readFileSync(latestFile, 'utf8')) as Record<string, Kept>;
  } catch {
    return {};
  }
}

export function keep(name: string, measured: Readonly<Record<string, unknown>>): void {
  const kept = { ...readKept(), [name]: { at: new Date().toISOString(), machine: machine(), ...measured } };
  mkdirSync(folder, { recursive: true });
  // Whole or not at all, should someone end this now.
  writeFileSync(`${latestFile}.tmp`, `${JSON.stringify(kept, undefined, 1)}\n`);
  renameSync(`${latestFile}.tmp`, latestFile);
  writeFileSync(`${folder}report.html`, page(kept));
}

const machine = (): Kept['machine'] => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  memoryMiB: Math.round(totalmem() / 2 ** 20),
  node: process.version,
});
