/**
 * The challenge's own k6 scripts, which have no licence to be kept here: whoever has them names one. It runs
 * as it is but for two things. Its modules come from files here instead of the network, and its addresses are
 * those of the stack that is measured.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChildProcesses, program } from '../../src/testing/processes.ts';
import type { Endpoints } from './auditor.ts';

const MODULES = fileURLToPath(new URL('k6/', import.meta.url));
/** The module that stands for each that the scripts fetch. */
const FETCHED: readonly (readonly [RegExp, string])[] = [
  [/https:\/\/jslib\.k6\.io\/k6-summary\/[^"']+/g, './k6-summary.js'],
  [/https:\/\/jslib\.k6\.io\/k6-utils\/[^"']+/g, './k6-utils.js'],
  [/https:\/\/jslib\.k6\.io\/httpx\/[^"']+/g, './httpx.js'],
  [/https:\/\/cdn\.jsdelivr\.net\/npm\/big\.js@[^"']+/g, './big.js'],
];
/** What the scripts' results are compared by: the names are theirs. */
const COMPARED = ['p99', 'total_liquido', 'sucesso', 'default', 'fallback', 'inconsistencias'] as const;
export const K6_COMPARED = ['p99 ms', 'net with bonus', 'accepted', 'default', 'fallback', 'differences'];
const RESULTS = ['final-results.json', 'partial-results.json'];

export type K6Results = Readonly<Record<string, number>>;

/** Its row in a table. */
export const k6Cells = (results: K6Results): string[] =>
  COMPARED.map(name => (results[name] ?? 0).toLocaleString('en', { maximumFractionDigits: 2 }));

/** Plays a script to its end. Its results are its own; throws with k6's last words where it has none. */
export async function playWithK6(
  children: ChildProcesses,
  script: string,
  places: Endpoints,
  users: number,
): Promise<K6Results> {
  const k6 = program('k6');
  if (k6 === undefined)
    throw new Error('k6 is not installed: go install go.k6.io/k6@latest, and add it to PATH');
  const folder = join(children.directory, 'k6');
  mkdirSync(folder, { recursive: true });
  cpSync(MODULES, folder, { recursive: true });
  for (const file of [basename(script), 'requests.js']) {
    const text = readFileSync(join(dirname(script), file), 'utf8');
    writeFileSync(join(folder, file), adapted(text, places));
  }
  const child = children.spawn('k6', 'sh', [
    '-c',
    `cd '${folder}' && exec '${k6}' run --quiet -e MAX_REQUESTS=${users} '${basename(script)}'`,
  ]);
  await child.exited;
  for (const name of RESULTS) {
    try {
      return JSON.parse(readFileSync(join(folder, name), 'utf8'));
    } catch {
      // It is the other script.
    }
  }
  throw new Error(`k6 left no results:\n${child.said().split('\n').slice(-10).join('\n')}`);
}

function adapted(text: string, { url, processors }: Endpoints): string {
  const local = FETCHED.reduce((so, [fetched, own]) => so.replaceAll(fetched, own), text);
  return local
    .replaceAll('http://localhost:9999', url)
    .replaceAll('http://localhost:8001', processors.default)
    .replaceAll('http://localhost:8002', processors.fallback);
}
