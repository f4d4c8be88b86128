/**
 * What no running process can mend: the machine loses its power, the store its disk or all it held, a
 * processor its books. Each is done to the real stack under load.
 */
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { signedDecimal } from '../audit/reconciliation.ts';
import { until } from '../testing/until.ts';
import type { Accepted } from './client.ts';
import { type Findings, Scene } from './harness.ts';
import { bootedAnew, LoopDisk } from './loop-disk.ts';

export interface LossOptions {
  readonly payments?: number;
  readonly connections: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

const PAYMENTS = 6000;

/** What a client is told while there is no store. */
export interface ClientRefusal {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly contentType: string | null;
  readonly reasons: string;
}

/** So many payments fallback has when the power is lost: those that could be settled twice. */
export const AT_STAKE_MIN = 300;

/** So many that each backend takes some. */
const LATER_PAYMENTS = 60;

/**
 * The machine loses its power while default fails and fallback settles, and default works when it is back:
 * whoever has forgotten a settlement on fallback would have it settled on default as well. Returns the
 * findings, which of the lost payments the disk had taken before, and how many payments default had not
 * settled.
 */
export async function losePower(
  ackAfter: 'commit' | 'flush',
  options: LossOptions,
): Promise<Findings & { lostFromDisk: readonly Accepted[]; atStake: number }> {
  const { payments = PAYMENTS, say } = options;
  await using disk = new LoopDisk();
  await using scene = await Scene.set({
    ...options,
    directory: join(disk.path, 'data'),
    env: { ACK_AFTER: ackAfter },
  });
  const { client, processors } = scene;
  const [onDefault, onFallback] = processors;
  await scene.start();
  await client.send(payments / 3);
  const first = client.ids;
  await disk.takes(first);
  // A log has one sync at work at a time: once the disk has what came later, the sync before has ended.
  await client.send(LATER_PAYMENTS);
  await disk.takes(client.ids.slice(first.length));
  onDefault.processor.failing = true;
  const sending = client.send(Number.POSITIVE_INFINITY);
  // Some are settled before their clients are told that they are accepted.
  const areAtStake = (): boolean =>
    onFallback.processor.book.size >= AT_STAKE_MIN &&
    client.accepted - onDefault.processor.book.size >= AT_STAKE_MIN;
  await until(areAtStake, `fallback to settle ${AT_STAKE_MIN}`);
  // The processors' power goes with the disk's: a sync that is at work while ext4 aborts its journal may
  // return as if it had ended well, and nobody must act on that.
  scene.stack.signal('SIGSTOP', 'backends');
  disk.cutOff();
  const cutAtMs = performance.now();
  await scene.stack.kill();
  say(`power lost, ACK_AFTER=${ackAfter}: ${client.accepted} payments were accepted`);
  const settled = processors.map(({ processor }) => processor.book.size);
  const atStake = client.accepted - settled[0]!;
  say(`  ${settled[1]} of them were on fallback, ${atStake - settled[1]!} nowhere yet`);
  await disk.bringBack();
  onDefault.processor.failing = false;
  await scene.start(bootedAnew(scene.stack.folder));
  await scene.accepts(client.accepted + payments / 3);
  client.stop();
  await sending;
  await scene.settles();
  const findings = await scene.audit();
  report(findings, say);
  sayHowOld(findings, cutAtMs, say);
  say(`  the log: ${scene.told.join(' · ')}`);
  const wereOnDisk = new Set(first);
  return { ...findings, atStake, lostFromDisk: findings.lost.filter(({ id }) => wereOnDisk.has(id)) };
}

/**
 * The disk of the store fails under the running stack, or is unmounted, and comes back with what it had
 * taken.
 */
export async function loseDisk(
  how: 'fails' | 'is moved away',
  options: LossOptions,
): Promise<Findings & { refusal: ClientRefusal }> {
  const { payments = PAYMENTS, say } = options;
  await using disk = how === 'fails' ? new LoopDisk() : undefined;
  await using scene = await Scene.set({
    ...options,
    ...(disk === undefined ? {} : { directory: join(disk.path, 'data') }),
  });
  await scene.start();
  // Until the disk is back, however long the backends go on without noticing that it is gone.
  const sending = scene.client.send(Number.POSITIVE_INFINITY);
  await scene.accepts(payments / 2);
  const data = join(scene.stack.folder, 'data');
  if (disk === undefined) renameSync(data, `${data}-away`);
  else disk.cutOff();
  const cutAtMs = performance.now();
  let refusal = await refused(scene);
  await until(async () => {
    refusal = await refused(scene);
    // The backends notice one after the other, and each question may reach another one.
    return refusal.status === 503 && refusal.reasons.includes('the store is lost');
  }, 'a refusal');
  say(
    `the disk ${how}: ${scene.client.accepted} payments were accepted; a client is told ${refusal.status},`,
  );
  say(`  Retry-After: ${refusal.retryAfter}, ${refusal.contentType}; GET /health: ${refusal.reasons}`);
  if (disk === undefined) renameSync(`${data}-away`, data);
  else await disk.bringBack();
  const backAtMs = performance.now();
  const before = scene.client.accepted;
  await scene.accepts(before + 1);
  say(
    `  the disk is back: ${Math.round(performance.now() - backAtMs)} ms later the next payment is accepted`,
  );
  await scene.accepts(before + payments / 2);
  scene.client.stop();
  await sending;
  await scene.settles();
  const findings = await scene.audit();
  report(findings, say);
  sayHowOld(findings, cutAtMs, say);
  say(`  the log: ${scene.told.join(' · ')}`);
  return { ...findings, refusal };
}

/**
 * What a stack knows that begins with an empty directory, and what becomes of payments that are sent again.
 */
export async function beginAnew(
  options: LossOptions,
): Promise<{ emptied: Findings; sentAgain: Findings; onFallback: number }> {
  const { payments = PAYMENTS, say } = options;
  // A payment of which default says nothing in time waits for it, for as long as it fails.
  await using scene = await Scene.set({ ...options, env: { ATTEMPT_TIMEOUT_MS: '60000' } });
  const [onDefault, onFallback] = scene.processors;
  await scene.start();
  await scene.client.send(payments / 2);
  await scene.settles(payments / 2);
  onDefault.processor.failing = true;
  await scene.client.send(payments / 2);
  await scene.settles(payments);
  onDefault.processor.failing = false;
  await scene.stack.kill();
  rmSync(join(scene.stack.folder, 'data'), { recursive: true });
  // None leaves default for having waited.
  await scene.start([], { FALLBACK_AFTER_MS: '60000' });
  const emptied = await scene.audit();
  say(`the directory of the store is emptied: ${emptied.accepted} payments had been accepted and settled`);
  report(emptied, say);
  const before = onFallback.processor.book.size;
  for (const { id, cents } of scene.client.payments) await scene.client.sendOne(id, cents);
  await scene.settles(payments);
  const sentAgain = await scene.audit();
  say(`  all are sent again, ${before} of which fallback has:`);
  report(sentAgain, say);
  return { emptied, sentAgain, onFallback: before };
}

/** Default forgets all that it recorded, under load. */
export async function loseBooks(options: LossOptions): Promise<{ findings: Findings; shownCents: number }> {
  const { payments = PAYMENTS, say } = options;
  await using scene = await Scene.set(options);
  const [{ processor }] = scene.processors;
  await scene.start();
  const sending = scene.client.send(payments);
  await scene.accepts(payments / 2);
  await until(() => processor.book.size > 0, 'default to have some');
  const forgotten = processor.book.size;
  await scene.admins[0].purge();
  await sending;
  await scene.settles();
  const findings = await scene.audit();
  say(`default forgets ${forgotten} payments`);
  report(findings, say);
  const name = 'soquete_audit_difference_cents';
  // The comparison leaves out the last moments.
  let shownCents = 0;
  await until(async () => {
    shownCents = await scene.metric(name, 'processor="default"');
    return shownCents === differenceOf(findings);
  }, `${name} to say so`);
  say(`  ${name}: ${shownCents}`);
  return { findings, shownCents };
}

/** By how many cents default's sum differs from soquete's. */
export const differenceOf = ({ sums }: Findings): number => Number(sums.lines[0]!.difference.cents);

export function report(
  { accepted, lost, sent, recorded, sums }: Findings,
  say: (line: string) => void,
): void {
  say(
    `  ${accepted} accepted; lost ${lost.length}, of which ${recorded.counts.unknown} are settled all the same`,
  );
  say(`  settled twice: ${recorded.counts.twice}; not in their processor's books: ${sent.counts.lost}`);
  for (const { processor, ours, theirs, difference } of sums.lines) {
    if (difference.count === 0 && difference.cents === 0n) continue;
    say(
      `  ${processor}: soquete ${ours.count}, ${signedDecimal(ours.cents)}; processor ${theirs.count}, ${signedDecimal(theirs.cents)}`,
    );
  }
  if (sums.agree) say('  the books agree');
}

/** How long before the cut the oldest payment was accepted that was lost. */
function sayHowOld({ lost }: Findings, cutAtMs: number, say: (line: string) => void): void {
  const lostMs = Math.max(0, ...lost.map(({ atMs }) => cutAtMs - atMs));
  if (lostMs > 0) say(`  the oldest of those lost was accepted ${Math.round(lostMs)} ms before`);
}

async function refused({ url }: Scene): Promise<ClientRefusal> {
  const body = JSON.stringify({ correlationId: crypto.randomUUID(), amount: 1 });
  const { status, headers } = await fetch(`${url}/payments`, { method: 'POST', body });
  const health = (await (await fetch(`${url}/health`)).json()) as { reasons?: readonly string[] };
  return {
    status,
    retryAfter: headers.get('retry-after'),
    contentType: headers.get('content-type'),
    reasons: (health.reasons ?? []).join('; '),
  };
}
