/** What a process takes of the machine, by the kernel's own books. */
import { readFileSync } from 'node:fs';

/** Resident memory, shared pages included, in MiB; 0 of a process that is gone. */
export function residentMiB(pid: number): number {
  return kibIn(pid, 'status', 'VmRSS') / 1024;
}

/**
 * Resident memory, each page divided by the number of processes that share it, in MiB; 0 of a process that is
 * gone. Three backends have Node.js itself, some 50 MiB of it, in memory once: added up, these are what the
 * machine is short of.
 */
export function shareMiB(pid: number): number {
  return kibIn(pid, 'smaps_rollup', 'Pss') / 1024;
}

/** A figure of one of the kernel's files; 0 of a process that is gone. */
function kibIn(pid: number, file: 'status' | 'smaps_rollup', figure: string): number {
  try {
    const text = readFileSync(`/proc/${pid}/${file}`, 'utf8');
    return Number(new RegExp(`^${figure}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** What its writes have made or will make the disk take, in bytes, in whole pages. */
export const writtenBytes = (pid: number): number => bytesOf(pid, 'write_bytes');

/** What it made the disk give, in bytes: what the kernel had in memory is not among it. */
export const readBytes = (pid: number): number => bytesOf(pid, 'read_bytes');

const bytesOf = (pid: number, figure: string): number =>
  Number(new RegExp(`^${figure}: (\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);

/** Processor time of all its threads, user and system, in ms. */
export function cpuMs(pid: number): number {
  // The name of a program may hold blanks, so what counts comes after its closing bracket.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_MS;
}

/** USER_HZ is 100 on every Linux that Node.js runs on. */
const CLOCK_TICK_MS = 10;
